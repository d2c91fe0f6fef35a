import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";
import { ALL_APIS } from "../fakes/model-api/all-apis.ts";
import type { Answer } from "../fakes/model-api/model-api.ts";
import { type FakeModel, type RecordedTurn, serveFakeModel } from "../fakes/model-api/serve.ts";
import { hostAuthority } from "./opened-pair.ts";

/** A fake model in the place of its provider: at port 443 of an address of loopback, over TLS. */
export interface ModelHost extends FakeModel {
  /** Of loopback. */
  address: string;
}

/** Serves all APIs, for whichever name is asked for; daemons that trust `writeHostTrust`'s file take it for the provider. */
export async function serveModelHost(answer: (turn: RecordedTurn) => Answer): Promise<ModelHost> {
  const model = await serveFakeModel(ALL_APIS, 0, answer);
  const server = tls.createServer(
    {
      SNICallback: (name, done) => {
        hostAuthority.contextFor(name).then(
          (context) => done(null, context),
          (error: Error) => done(error),
        );
      },
      ALPNProtocols: ["http/1.1"],
    },
    (socket) => {
      const inner = net.connect(Number(new URL(model.url).port), "127.0.0.1");
      socket.pipe(inner).pipe(socket);
      socket.on("error", () => inner.destroy());
      inner.on("error", () => socket.destroy());
    },
  );
  // The port is fixed, so the address is one that nobody else has.
  const [a = 0, b = 0] = randomBytes(2);
  const address = `127.77.${a}.${1 + (b % 254)}`;
  server.listen(443, address);
  await once(server, "listening");
  return {
    ...model,
    address,
    close: async () => {
      server.close();
      await model.close();
    },
  };
}

/** A file of certificates that holds `pem`, where it is given, and that of `serveModelHost`. */
export async function writeHostTrust(file: string, pem = ""): Promise<void> {
  writeFileSync(file, `${pem.trimEnd()}\n${await hostAuthority.certificate()}`);
}
