// Reads {cases: [{principal, action, resource, account, context, identity, resourcePolicy, session, boundary}]} from
// standard input; the last four are policies as text, or null, identity a list of them. Writes one verdict for each case:
// Allowed, ImplicitlyDenied, ExplicitlyDenied, or "error: ...".
import { readFileSync } from "node:fs";
import { runSimulation } from "@cloud-copilot/iam-simulate";

const everything = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };
const parsed = (text) => (text === null ? undefined : JSON.parse(text));
const { cases } = JSON.parse(readFileSync(0, "utf8"));
const verdicts = [];
for (const each of cases) {
  const boundary = parsed(each.boundary);
  const result = await runSimulation(
    {
      request: {
        principal: each.principal,
        action: each.action,
        resource: { resource: each.resource, accountId: each.account },
        contextVariables: each.context,
      },
      sessionPolicy: parsed(each.session),
      permissionBoundaryPolicies: boundary && [{ name: "boundary", policy: boundary }],
      identityPolicies: each.identity.map((text, index) => ({ name: `p${index}`, policy: JSON.parse(text) })),
      resourcePolicy: parsed(each.resourcePolicy),
      serviceControlPolicies: [{ orgIdentifier: "o", policies: [{ name: "all", policy: everything }] }],
      resourceControlPolicies: [],
    },
    {},
  );
  verdicts.push(
    result.resultType === "error" || result.errors
      ? `error: ${JSON.stringify(result.errors)}`
      : (result.overallResult ?? result.analysis?.result),
  );
}
process.stdout.write(JSON.stringify(verdicts));
