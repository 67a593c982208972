// Reads [{condition, context}] from standard input and writes one verdict for each: Allowed, ImplicitlyDenied, or
// "error: ...", of a policy that allows everything under the condition.
import { readFileSync } from "node:fs";
import { runSimulation } from "@cloud-copilot/iam-simulate";

const verdicts = [];
for (const { condition, context } of JSON.parse(readFileSync(0, "utf8"))) {
  const result = await runSimulation(
    {
      request: {
        principal: "arn:aws:iam::111122223333:role/someone",
        action: "dynamodb:CreateTable",
        resource: { resource: "arn:aws:dynamodb:eu-west-1:111122223333:table/t", accountId: "111122223333" },
        contextVariables: context,
      },
      identityPolicies: [
        {
          name: "p",
          policy: {
            Version: "2012-10-17",
            Statement: [{ Effect: "Allow", Action: "*", Resource: "*", Condition: condition }],
          },
        },
      ],
      serviceControlPolicies: [],
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
