import { z } from "zod";
import { execInfoSchema, fileStatSchema } from "../guest/protocol.ts";
import { artifactSchema } from "./artifact.ts";
import { auditEntrySchema } from "./audit.ts";
import { daemonStatusSchema, doctorCheckSchema, kernelInfoSchema } from "./daemon.ts";
import { driveSchema, vmDriveSchema } from "./drive.ts";
import { egressEventSchema } from "./egress.ts";
import { errorBodySchema } from "./error.ts";
import { vmEventSchema } from "./event.ts";
import { forwardSchema, vmPublishSchema } from "./forward.ts";
import { imageInfoSchema } from "./image.ts";
import { apiKeySchema } from "./key.ts";
import { listenStatusSchema } from "./listen.ts";
import { secretSchema } from "./secret.ts";
import { snapshotSchema, templateSchema } from "./snapshot.ts";
import { execSpecSchema, progressSchema, vmSchema, vmStatsSchema } from "./vm.ts";
import { workspaceBackupSchema, workspaceReportSchema, workspaceSchema } from "./workspace.ts";

type Json = Record<string, unknown>;
type Direction = "request" | "answer";

/** Schemas that stand once in the document, by name; all others stand where they are used. */
const NAMED: Record<Direction, Record<string, z.ZodType>> = {
  request: { ExecSpec: execSpecSchema, VmCreate: vmPublishSchema },
  answer: {
    ApiKey: apiKeySchema,
    Artifact: artifactSchema,
    AuditEntry: auditEntrySchema,
    DaemonStatus: daemonStatusSchema,
    DoctorCheck: doctorCheckSchema,
    Drive: driveSchema,
    EgressEvent: egressEventSchema,
    Error: errorBodySchema,
    ExecInfo: execInfoSchema,
    FileStat: fileStatSchema,
    Forward: forwardSchema,
    Image: imageInfoSchema,
    Kernel: kernelInfoSchema,
    ListenStatus: listenStatusSchema,
    Progress: progressSchema,
    Secret: secretSchema,
    Snapshot: snapshotSchema,
    Template: templateSchema,
    Vm: vmSchema,
    VmDrive: vmDriveSchema,
    VmEvent: vmEventSchema,
    VmStats: vmStatsSchema,
    Workspace: workspaceSchema,
    WorkspaceBackup: workspaceBackupSchema,
    WorkspaceReport: workspaceReportSchema,
  },
};

export function refTo(name: string): string {
  return `#/components/schemas/${name}`;
}

/**
 * Collects a document's schemas, to turn them into JSON Schema together: that is how one refers to another. Meanwhile each is a reference;
 * in the finished document only the named ones are.
 */
export class SchemaBook {
  readonly #books: Record<Direction, z.core.$ZodRegistry<{ id: string }>> = {
    request: z.registry<{ id: string }>(),
    answer: z.registry<{ id: string }>(),
  };
  #nameless = 0;

  constructor() {
    for (const direction of ["request", "answer"] as const)
      for (const [id, schema] of Object.entries(NAMED[direction])) this.#books[direction].add(schema, { id });
  }

  add(direction: Direction, schema: z.ZodType): Json {
    const book = this.#books[direction];
    let id = book.get(schema)?.id;
    if (id === undefined) {
      id = `_${this.#nameless++}`;
      book.add(schema, { id });
    }
    return { $ref: refTo(id) };
  }

  /** A value with the nameless schemas in the places of their references, and the named ones by name. */
  finish(value: Json): { value: Json; named: Record<string, Json> } {
    const all = new Map([...this.#toJson("request"), ...this.#toJson("answer")]);
    const names = [...all.keys()].filter((id) => !id.startsWith("_")).sort();
    return {
      value: settle(value, all) as Json,
      named: Object.fromEntries(names.map((name) => [name, settle(all.get(name), all) as Json])),
    };
  }

  #toJson(direction: Direction): [string, Json][] {
    const { schemas } = z.toJSONSchema(this.#books[direction], {
      io: direction === "request" ? "input" : "output",
      uri: refTo,
      override: ({ jsonSchema, zodSchema }) => {
        // A later daemon may answer more; requests are closed to what is not known.
        if (direction === "answer" && zodSchema._zod.def.type === "object") delete jsonSchema.additionalProperties;
        // What zod takes every whole number to lie between says nothing to a reader.
        if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
        if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      },
    });
    return Object.entries(schemas).map(([id, { $id: _id, $schema: _dialect, id: _name, ...schema }]) => [id, schema]);
  }
}

function settle(value: unknown, schemas: Map<string, Json>): unknown {
  if (Array.isArray(value)) return value.map((entry) => settle(entry, schemas));
  if (typeof value !== "object" || value === null) return value;
  const { $ref } = value as { $ref?: unknown };
  const nameless = typeof $ref === "string" ? /^#\/components\/schemas\/(_\d+)$/.exec($ref)?.[1] : undefined;
  if (nameless !== undefined) return settle(schemas.get(nameless), schemas);
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, settle(entry, schemas)]));
}
