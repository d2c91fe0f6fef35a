import { afterEach, beforeEach } from "node:test";
import type { EgressRule } from "../../src/contract/policy.ts";
import type { GrantedSecret } from "../../src/secrets/service.ts";
import { openOpenedPair, openTlsUpstream } from "./opened-pair.ts";

export type Upstream = Awaited<ReturnType<typeof openTlsUpstream>>;
export type OpenedPair = Awaited<ReturnType<typeof openOpenedPair>>;

/** A rule for a host at any port of this computer. */
export const rule = (host: string, more: object = {}): EgressRule => ({ host, ports: "*", private: true, ...more });

/** For each test of the file that calls it: the host `api.test`, and VMs with secrets that reach it and `other.test`. All are closed after the test. */
export class OpenedFlows {
  readonly #closers: (() => void)[] = [];
  #upstream: Upstream | undefined;

  constructor() {
    beforeEach(async () => {
      this.#upstream = await this.openUpstream("api.test");
    });
    afterEach(() => {
      for (const close of this.#closers.splice(0)) close();
    });
  }

  /** `api.test`. */
  get upstream(): Upstream {
    if (this.#upstream === undefined) throw new Error("there is an upstream in tests only");
    return this.#upstream;
  }

  /** Another host; see `openTlsUpstream`. */
  async openUpstream(...given: Parameters<typeof openTlsUpstream>): Promise<Upstream> {
    const upstream = await openTlsUpstream(...given);
    this.#closers.push(upstream.close);
    return upstream;
  }

  async open(secrets: GrantedSecret[], rules: EgressRule[]): Promise<OpenedPair> {
    const pair = await openOpenedPair(rules, ["api.test", "other.test"], secrets);
    this.#closers.push(pair.close);
    return pair;
  }
}
