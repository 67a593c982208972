// Reads {policies: [text], cases: [{policy, action, resource, account, context, bucketPolicy, boundary}]} from standard
// input, where policy and boundary (or null) are indices of policies, and
// writes one verdict for each case: Allowed, ImplicitlyDenied, ExplicitlyDenied, or "error: ...".
import { readFileSync } from "node:fs";
import { runSimulation } from "@cloud-copilot/iam-simulate";

const ACCOUNT = "111122223333";
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/penstock-lake-reader/pk-someone`;
const document = (...statements) => ({ Version: "2012-10-17", Statement: statements });
const everything = document({ Effect: "Allow", Action: "*", Resource: "*" });
const rolePolicy = document({ Effect: "Allow", Action: ["s3:*", "dynamodb:*", "sts:*", "kms:*"], Resource: "*" });

// What a bucket's own policy may say about everybody in the organisation, or about this very session.
const bucketPolicies = {
  none: () => undefined,
  everybody: (bucket) =>
    document({
      Effect: "Allow",
      Principal: "*",
      Action: "s3:*",
      Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
    }),
  session: (bucket) =>
    document({
      Effect: "Allow",
      Principal: { AWS: SESSION },
      Action: "s3:*",
      Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
    }),
};

// The same of a table of DynamoDB.
const tablePolicies = {
  none: () => undefined,
  everybody: () => document({ Effect: "Allow", Principal: "*", Action: "dynamodb:*", Resource: "*" }),
  session: () => document({ Effect: "Allow", Principal: { AWS: SESSION }, Action: "dynamodb:*", Resource: "*" }),
};

const { policies, cases } = JSON.parse(readFileSync(0, "utf8"));
const parsed = policies.map((text) => JSON.parse(text));
const verdicts = [];
for (const { policy, action, resource, account, context, bucketPolicy, boundary } of cases) {
  const bucket = resource.startsWith("arn:aws:s3:::") ? resource.slice(13).split("/")[0] : "none";
  const result = await runSimulation(
    {
      request: {
        principal: SESSION,
        action,
        resource: { resource, accountId: account },
        contextVariables: {
          "aws:PrincipalArn": `arn:aws:iam::${ACCOUNT}:role/penstock-lake-reader`,
          "aws:PrincipalAccount": ACCOUNT,
          "aws:ResourceAccount": account,
          "aws:CurrentTime": "2026-11-24T12:00:00Z",
          ...context,
        },
      },
      sessionPolicy: parsed[policy],
      permissionBoundaryPolicies: boundary === null ? undefined : [{ name: "boundary", policy: parsed[boundary] }],
      identityPolicies: [{ name: "role", policy: rolePolicy }],
      resourcePolicy: resource.startsWith("arn:aws:dynamodb:")
        ? tablePolicies[bucketPolicy]()
        : bucketPolicies[bucketPolicy](bucket),
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
