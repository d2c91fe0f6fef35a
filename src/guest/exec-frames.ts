import { FRAME, type Frame } from "../contract/frames.ts";

/** Why a frame of the guest's exec stream is none of the protocol's; undefined when it is one. Its place in the stream is not judged here. */
export function findGuestFrameFault(frame: Frame): "UNKNOWN_TYPE" | "BAD_PAYLOAD" | undefined {
  switch (frame.type) {
    case FRAME.stdout:
    case FRAME.stderr:
      return frame.payload.length === 0 ? "BAD_PAYLOAD" : undefined;
    case FRAME.started:
    case FRAME.skipped:
    case FRAME.exit:
      return undefined;
    default:
      return "UNKNOWN_TYPE";
  }
}
