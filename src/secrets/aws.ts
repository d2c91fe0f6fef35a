import type { Secret, SecretAws } from "../contract/secret.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** Names of the secrets that a secret access key of AWS goes with: VMs that may use the key may use them. */
export function companionsOf({ aws }: { aws?: SecretAws | undefined }): string[] {
  if (aws === undefined) return [];
  return aws.sessionToken === undefined ? [aws.accessKeyId] : [aws.accessKeyId, aws.sessionToken];
}

type AwsSecret = Pick<Secret, "name" | "expose"> & { aws: SecretAws };

/** Throws SECRET_INVALID for a key that could not sign, or that would go out as what belongs to another. */
export function checkAws(secret: AwsSecret, others: readonly Pick<Secret, "name" | "aws">[]): void {
  const companions = companionsOf(secret);
  if (secret.expose === "env")
    throw invalid(
      "a VM that has the value of an AWS key signs by itself",
      "Leave out --expose env, or say that it is no AWS key: --no-aws",
    );
  if (new Set([secret.name, ...companions]).size !== companions.length + 1)
    throw invalid(
      "the secret access key, its id and its session token are different secrets",
      `Such as: firebreak secret set ${secret.name} --aws AWS_ACCESS_KEY_ID`,
    );
  const keys = others.filter(({ name, aws }) => aws !== undefined && name !== secret.name);
  const asId = keys.find(({ name }) => companions.includes(name))?.name;
  const asKey = keys.find((other) => companionsOf(other).includes(secret.name))?.name;
  if (asId === undefined && asKey === undefined) return;
  const [key, companion] = asId === undefined ? [secret.name, asKey] : [asId, secret.name];
  throw invalid(
    `${key} would be a secret access key, and for ${companion} what goes out with one`,
    "An id and a session token have secrets of their own.",
  );
}

function invalid(why: string, hint: string): FirebreakError {
  return new FirebreakError("SECRET_INVALID", why, { hint });
}
