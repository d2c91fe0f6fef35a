import type { ReactNode } from "react";
import type { ApiError } from "../api/client.ts";
import { showHidden } from "../text.ts";
import { Button } from "./button.tsx";
import { Icon, type IconName } from "./icon.tsx";

/** In the place of what is not there: says so, and what to do about it. */
export function Empty({ icon = "search", title, children }: { icon?: IconName; title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <span className="empty-icon">
        <Icon name={icon} size={22} />
      </span>
      <p className="empty-title">{title}</p>
      {children !== undefined && <div className="empty-text">{children}</div>}
    </div>
  );
}

/** What went wrong, with its code (docs/errors.md) and the next step. */
export function ErrorBox({
  error,
  onRetry,
}: {
  error: Pick<ApiError, "code" | "message"> & { hint?: string | undefined };
  onRetry?: () => void;
}) {
  return (
    <div className="error-box" role="alert">
      <Icon name="alert" size={18} />
      <div className="error-text">
        <p>
          {showHidden(error.message)} <code>{error.code}</code>
        </p>
        {error.hint !== undefined && <p className="muted">{showHidden(error.hint)}</p>}
      </div>
      {onRetry !== undefined && <Button onClick={onRetry}>Try again</Button>}
    </div>
  );
}

/** Lines in the place of what is being fetched. */
export function Loading({ label = "Loading" }: { label?: string }) {
  return (
    <div className="loading" role="status">
      <span className="visually-hidden">{label}</span>
      <span className="skeleton" />
      <span className="skeleton" />
      <span className="skeleton" />
    </div>
  );
}
