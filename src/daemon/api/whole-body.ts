import { PassThrough, type Readable } from "node:stream";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { ApiContext } from "./context.ts";

/**
 * The request's body as a stream of its own. A caller that hangs up breaks it off with an error, so that whoever takes it breaks off too
 * instead of ending; one who refuses it leaves the caller's connection whole, so that the refusal reaches the caller.
 */
export function wholeBody(context: ApiContext): Readable {
  const incoming = context.env.incoming;
  const body = new PassThrough();
  incoming.once("error", (error) => body.destroy(error));
  incoming.once(
    "close",
    () => body.writableEnded || body.destroy(new FirebreakError("OPERATION_CANCELED", "the caller hung up")),
  );
  body.once("close", () => {
    incoming.unpipe(body);
    incoming.resume();
  });
  return incoming.pipe(body);
}
