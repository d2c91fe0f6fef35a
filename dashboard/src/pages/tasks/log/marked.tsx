/** Text with what is searched for marked; `query` in lower case. */
export function Marked({ text, query }: { text: string; query: string }) {
  if (query === "") return <>{text}</>;
  const lower = text.toLowerCase();
  // Letters whose small form is longer would shift the places.
  if (lower.length !== text.length) return <>{text}</>;
  const pieces = [];
  let from = 0;
  for (let at = lower.indexOf(query); at >= 0; at = lower.indexOf(query, from)) {
    pieces.push(text.slice(from, at), <mark key={at}>{text.slice(at, at + query.length)}</mark>);
    from = at + query.length;
  }
  pieces.push(text.slice(from));
  return <>{pieces}</>;
}
