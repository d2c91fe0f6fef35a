import { type FormEvent, useEffect, useState } from "react";
import { useLocation } from "wouter";
import type { DashboardLogin, DashboardSession } from "../../../../src/contract/dashboard.ts";
import { type ApiError, post } from "../../api/client.ts";
import { toApiError } from "../../api/use-poll.ts";
import { Button } from "../../components/button.tsx";
import { ErrorBox } from "../../components/feedback.tsx";
import { Field } from "../../components/field.tsx";

/** The code of a URL that `firebreak dashboard` has printed; it leaves the address bar and the history at once. */
function takeCode(): string | undefined {
  const code = new URLSearchParams(location.hash.slice(1)).get("code") ?? undefined;
  if (code !== undefined) history.replaceState(null, "", location.pathname);
  return code;
}

/** Exchanges a one-time code, or an API key, for a session. */
export function LoginPage({ onLogin }: { onLogin: (session: DashboardSession) => void }) {
  const [path, navigate] = useLocation();
  const [key, setKey] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const logIn = async (login: DashboardLogin) => {
    setBusy(true);
    setError(undefined);
    try {
      const session = await post<DashboardSession>("/v1/session", login);
      if (path === "/login") navigate("/", { replace: true });
      onLogin(session);
    } catch (thrown) {
      setError(toApiError(thrown));
      setBusy(false);
    }
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, as the page is opened
  useEffect(() => {
    document.title = "Sign in · firebreak";
    const code = takeCode();
    if (code !== undefined) void logIn({ code });
  }, []);
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim() !== "") void logIn({ key: key.trim() });
  };
  return (
    <main className="login">
      <form className="login-card" onSubmit={onSubmit}>
        <div className="login-brand">
          <img src="/favicon.svg" alt="" width="40" height="40" />
          <h1>firebreak</h1>
        </div>
        <p className="muted">
          On the daemon’s host, run <code>firebreak dashboard</code> and open the address that it prints.
        </p>
        {error !== undefined && <ErrorBox error={error} />}
        <Field
          label="Or sign in with an API key"
          hint="From firebreak key create. It is exchanged for a session and not kept."
        >
          {(ids) => (
            <input
              {...ids}
              className="input mono"
              type="password"
              name="key"
              autoComplete="off"
              spellCheck={false}
              placeholder="fbk_…"
              value={key}
              onChange={(event) => setKey(event.target.value)}
            />
          )}
        </Field>
        <Button tone="primary" isSubmit isBusy={isBusy}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
