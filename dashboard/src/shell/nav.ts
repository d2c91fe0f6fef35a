import type { IconName } from "../components/icon.tsx";

/** The main pages. The daemon answers these paths with the page: src/daemon/dashboard/pages.ts has the same. */
export const NAV: readonly { href: string; label: string; icon: IconName }[] = [
  { href: "/", label: "Overview", icon: "overview" },
  { href: "/tasks", label: "Tasks", icon: "task" },
  { href: "/vms", label: "VMs", icon: "vm" },
  { href: "/mcp-servers", label: "Servers", icon: "server" },
  { href: "/secrets", label: "Secrets", icon: "secret" },
  { href: "/audit", label: "Audit", icon: "audit" },
];

export const isAt = (href: string, location: string): boolean =>
  href === "/" ? location === "/" : location === href || location.startsWith(`${href}/`);
