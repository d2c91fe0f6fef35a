import { z } from "zod";
import { SECRET_EXPOSURES, SECRET_PLACES, type Secret, secretAwsSchema } from "../../contract/secret.ts";

export const secretViewSchema = z.strictObject({
  secret: z.string(),
  hosts: z.array(z.string()).describe("Where its placeholder becomes the value."),
  places: z.array(z.enum(SECRET_PLACES)),
  expose: z.enum(SECRET_EXPOSURES),
  aws: secretAwsSchema.optional().describe("It is a secret access key of AWS; these are the secrets that go with it."),
  vms: z.array(z.string()).describe("VMs that may use it."),
});

export function toSecretView({ name, hosts, places, expose, aws, vms }: Secret): z.infer<typeof secretViewSchema> {
  return { secret: name, hosts, places, expose, ...(aws === undefined ? {} : { aws }), vms };
}

export function describeSecret({ name, hosts, expose, aws }: Secret): string {
  const where = hosts.length === 0 ? "for no host yet" : `for ${hosts.join(", ")}`;
  return `${name}: ${where}${expose === "env" ? ", the value itself in the VM's environment" : ""}${aws === undefined ? "" : `, signs for the AWS key ${aws.accessKeyId}`}`;
}
