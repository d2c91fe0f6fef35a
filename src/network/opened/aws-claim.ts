import {
  ALGORITHM,
  type Header,
  headerValues,
  type Message,
  queryParameters,
  type Scope,
  splitTarget,
} from "./aws-sigv4.ts";

/** By whose key a request says that it is signed, before anything of it is believed. */
export interface AwsClaim {
  algorithm: string;
  accessKeyId: string;
  /** The signature is in the query. */
  isPresigned: boolean;
  fields: { credential: string; signedHeaders: string; signature: string; time: string };
}

/** A claim in order. */
export interface AwsSignature {
  scope: Scope;
  accessKeyId: string;
  /** In lower case, in their order. */
  signedHeaders: string[];
  signature: string;
  isPresigned: boolean;
}

/** All that a request claims: servers would take one or another of several. */
export function readClaims(message: Message): AwsClaim[] {
  const parameters = queryParameters(splitTarget(message.target).query, "+");
  const headers = message.headers.filter(([name]) => name.toLowerCase() === "authorization").map(([, value]) => value);
  const time = headerValues(message.headers).get("x-amz-date") ?? "";
  const claims = headers.flatMap((value) => claimOfHeader(value, time) ?? []);
  const inQuery = claimOfQuery(parameters);
  return inQuery === undefined ? claims : [...claims, inQuery];
}

function claimOfHeader(value: string, time: string): AwsClaim | undefined {
  const [, algorithm, rest] = /^\s*(AWS4-[A-Z0-9-]+)\s+(.*)$/i.exec(value) ?? [];
  if (algorithm === undefined || rest === undefined) return undefined;
  const fields = new Map(
    rest.split(",").map((field) => {
      const equals = field.indexOf("=");
      return [field.slice(0, equals).trim(), field.slice(equals + 1).trim()] as const;
    }),
  );
  const field = (name: string) => fields.get(name) ?? "";
  return toClaim(algorithm, false, {
    credential: field("Credential"),
    signedHeaders: field("SignedHeaders"),
    signature: field("Signature"),
    time,
  });
}

function claimOfQuery(parameters: readonly Header[]): AwsClaim | undefined {
  // Of several of one name, none: what is looked at must be what counts.
  const field = (name: string) => {
    const values = parameters.filter(([each]) => each === name);
    return values.length === 1 ? (values[0]?.[1] ?? "") : "";
  };
  const first = parameters.find(([name]) => name === "X-Amz-Credential");
  if (first === undefined) return undefined;
  return toClaim(field("X-Amz-Algorithm"), true, {
    credential: field("X-Amz-Credential") || `${first[1].split("/")[0]}/`,
    signedHeaders: field("X-Amz-SignedHeaders"),
    signature: field("X-Amz-Signature"),
    time: field("X-Amz-Date"),
  });
}

function toClaim(algorithm: string, isPresigned: boolean, fields: AwsClaim["fields"]): AwsClaim {
  return { algorithm, isPresigned, fields, accessKeyId: fields.credential.split("/")[0] ?? "" };
}

/** The signature that is claimed, or what is wrong with it. */
export function parseClaim(claim: AwsClaim): AwsSignature | { why: string } {
  const { credential, signedHeaders, signature, time } = claim.fields;
  const [, date, region, service] =
    /^[^/]+\/(\d{8})\/([A-Za-z0-9._-]+)\/([A-Za-z0-9._-]+)\/aws4_request$/.exec(credential) ?? [];
  if (date === undefined || region === undefined || service === undefined)
    return { why: "its Credential is not ID/DATE/REGION/SERVICE/aws4_request" };
  if (!/^\d{8}T\d{6}Z$/.test(time) || !time.startsWith(date))
    return { why: "its X-Amz-Date is missing, or of another day than its Credential" };
  const names = signedHeaders.split(";");
  if (!names.every((name) => /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) || new Set(names).size !== names.length)
    return { why: "its SignedHeaders are no list of names in lower case" };
  // A signature that leaves it open where it is good for is not made.
  if (!names.includes("host")) return { why: "its SignedHeaders lack host" };
  if (!/^[0-9a-f]{64}$/.test(signature)) return { why: "its Signature is none" };
  const { accessKeyId, isPresigned } = claim;
  return { scope: { time, region, service }, accessKeyId, signedHeaders: names, signature, isPresigned };
}

export const isSigV4 = ({ algorithm }: AwsClaim) => algorithm === ALGORITHM;
