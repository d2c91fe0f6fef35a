import type { Template, TemplateCreate } from "../../contract/snapshot.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** Saved machines that VMs are forks of. */
export class TemplateCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  async list(options: CallOptions = {}): Promise<Template[]> {
    return (await this.#http.json<{ templates: Template[] }>("GET", "/v1/templates", options)).templates;
  }

  /** The template of a kind of VM; made when there is none. */
  create(kind: TemplateCreate, options: CallOptions = {}): Promise<Template> {
    return this.#http.lines("POST", "/v1/templates", kind, options);
  }

  /** Deletes the templates that are of no use any more, or all. */
  async prune(all: boolean, options: CallOptions = {}): Promise<Template[]> {
    return (await this.#http.json<{ pruned: Template[] }>("POST", "/v1/templates/prune", options, { all })).pruned;
  }

  get(id: string, options: CallOptions = {}): Promise<Template> {
    return this.#http.json("GET", `/v1/templates/${encodeURIComponent(id)}`, options);
  }

  delete(id: string, options: CallOptions = {}): Promise<{ deleted: string }> {
    return this.#http.json("DELETE", `/v1/templates/${encodeURIComponent(id)}`, options);
  }
}
