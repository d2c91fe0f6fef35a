import { type FormEvent, useEffect, useState } from "react";
import { Button } from "../../../components/button.tsx";

/** Where one is, and a way to go elsewhere: up, or to a path that is typed. */
export function PathBar({ path, onGo }: { path: string; onGo: (path: string) => void }) {
  const [text, setText] = useState(path);
  useEffect(() => setText(path), [path]);
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    const clean = `/${text
      .split("/")
      .filter((part) => part !== "" && part !== ".")
      .join("/")}`;
    setText(clean);
    onGo(clean);
  };
  return (
    <form className="path-bar" onSubmit={onSubmit}>
      <Button
        icon="up"
        aria-label="Up to the folder above"
        disabled={path === "/"}
        onClick={() => onGo(path.slice(0, path.lastIndexOf("/")) || "/")}
      />
      <input
        className="input mono"
        aria-label="Folder"
        spellCheck={false}
        autoComplete="off"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
    </form>
  );
}
