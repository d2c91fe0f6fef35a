import { formatDateTime, formatTime } from "../format.ts";

/** When something was: date and time, or the time alone where there is little room. */
export function When({ at }: { at: string }) {
  return (
    <time dateTime={at} title={formatDateTime(at)}>
      <span className="only-wide">{formatDateTime(at)}</span>
      <span className="only-narrow">{formatTime(at)}</span>
    </time>
  );
}
