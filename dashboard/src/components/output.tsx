import { useLayoutEffect, useRef } from "react";

/** Output that grows: its end stays in sight unless somebody has scrolled away from it. */
export function Output({ text, label }: { text: string; label: string }) {
  const box = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text is what it waits for
  useLayoutEffect(() => {
    const element = box.current;
    if (element !== null && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [text]);
  const onScroll = () => {
    const element = box.current;
    if (element !== null) isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
  };
  return (
    <pre
      className="output"
      ref={box}
      onScroll={onScroll}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is to be reached by keyboard
      tabIndex={0}
      role="log"
      aria-label={label}
    >
      {text}
    </pre>
  );
}
