import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type HostileEgress, openHostileEgress } from "../support/hostile-egress.ts";

/** What an agent carries at once (guest-agent/src/egress/flows.rs), and some more. */
const MOST_FLOWS = 4_000;
const HELD = MOST_FLOWS + 200;

let egress: HostileEgress;
before(async () => {
  egress = await openHostileEgress();
});
after(() => egress?.close());

test("more connections at once than are carried: those above are reset and told of", async () => {
  const program = `
import resource, select, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
address = socket.gethostbyname("echo.test"); port = int(sys.argv[1]); held = []
answered = lost = 0
for i in range(int(sys.argv[2])):
    try: held.append(socket.create_connection((address, port), 120))
    except ConnectionError: lost += 1
for s in held:
    try:
        s.sendall(b"x"); s.settimeout(120)
        if s.recv(1) == b"x": answered += 1
        else: lost += 1
    except ConnectionError: lost += 1
print(answered, lost, open("/run/firebreak/egress.log").read())`;
  const [answered, lost, ...refusals] = (await egress.against(program, egress.echo.port, HELD)).split(" ");
  assert.deepEqual([Number(answered), Number(lost)], [MOST_FLOWS, HELD - MOST_FLOWS]);
  assert.match(refusals.join(" "), new RegExp(`refused a connection: ${MOST_FLOWS} are open already`));
});
