import type { ButtonHTMLAttributes, ReactNode } from "react";
import { Icon, type IconName } from "./icon.tsx";

interface ButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "type"> {
  /** `primary` once a page at most; `danger` for what cannot be taken back. */
  tone?: "plain" | "primary" | "danger" | "quiet";
  icon?: IconName;
  isBusy?: boolean;
  isSubmit?: boolean;
  children?: ReactNode;
}

/** A button with its text; with `aria-label` and no children an icon alone. */
export function Button({ tone = "plain", icon, isBusy = false, isSubmit = false, children, ...rest }: ButtonProps) {
  const shape = children === undefined ? " button-icon" : "";
  return (
    <button
      {...rest}
      type={isSubmit ? "submit" : "button"}
      className={`button button-${tone}${shape} ${rest.className ?? ""}`}
      disabled={rest.disabled || isBusy}
      aria-busy={isBusy || undefined}
    >
      {isBusy ? <span className="spinner" aria-hidden="true" /> : icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
