// Reads {policies: [text], cases: [{policy, action, resource, account, context, bucketPolicy, boundary}]} from standard
// input, where policy and boundary (or null) are indices of policies, and
// writes one verdict for each case: Allowed, ImplicitlyDenied, ExplicitlyDenied, or "error: ...".
import { readFileSync } from "node:fs";
import { runSimulation } from "@cloud-copilot/iam-simulate";

const ACCOUNT = "111122223333";
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/penstock-lake-reader/pk-someone`;
const document = (...statements) => ({ Version: "2012-10-17", Statement: statements });
const everything = document({ Effect: "Allow", Action: "*", Resource: "*" });
const rolePolicy = document({ Effect: "Allow", Action: ["s3:*", "dynamodb:*", "sts:*", "kms:*", "kinesis:*", "redshift:*", "redshift-data:*", "athena:*", "glue:*"], Resource: "*" });

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

// The same of a resource of another service that has a policy; the others have none.
const servicePolicies = {
  none: () => undefined,
  everybody: (service) => document({ Effect: "Allow", Principal: "*", Action: `${service}:*`, Resource: "*" }),
  session: (service) => document({ Effect: "Allow", Principal: { AWS: SESSION }, Action: `${service}:*`, Resource: "*" }),
};
const keyPolicy = document({
  Effect: "Allow",
  Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
  Action: "kms:*",
  Resource: "*",
});
const withPolicies = ["kinesis", "kms", "glue"];
const ownPolicy = (resource, kind) => {
  const service = resource.split(":")[2];
  if (service === "dynamodb") return tablePolicies[kind]();
  if (service === "s3") return bucketPolicies[kind](resource.slice(13).split("/")[0]);
  // AWS: a key has a policy, which by default leaves it to the policies of the account's roles.
  if (service === "kms" && kind === "none") return keyPolicy;
  return withPolicies.includes(service) ? servicePolicies[kind](service) : undefined;
};

const { policies, cases } = JSON.parse(readFileSync(0, "utf8"));
// The evaluator loses the names in an encryption context (it knows one key of all of them), so that one entry goes by the
// name of another key with texts that the same actions have.
const ENTRY = "kms:EncryptionContext:tenant";
const KNOWN = "kms:EncryptionAlgorithm";
const parsed = policies.map((text) => JSON.parse(text.replaceAll(ENTRY, KNOWN)));
const renamed = (context) =>
  Object.fromEntries(Object.entries(context).map(([key, value]) => [key === ENTRY ? KNOWN : key, value]));
const verdicts = [];
for (const { policy, action, resource, account, context, bucketPolicy, boundary } of cases) {
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
          ...renamed(context),
        },
      },
      sessionPolicy: parsed[policy],
      permissionBoundaryPolicies: boundary === null ? undefined : [{ name: "boundary", policy: parsed[boundary] }],
      identityPolicies: [{ name: "role", policy: rolePolicy }],
      resourcePolicy: ownPolicy(resource, bucketPolicy),
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
