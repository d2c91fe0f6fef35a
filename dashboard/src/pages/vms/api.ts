/** Where a VM is in the API, and where its page is. */
export const vmPath = (vm: string, rest = ""): string => `/v1/vms/${encodeURIComponent(vm)}${rest}`;
export const vmHref = (vm: string, tab?: string): string =>
  `/vms/${encodeURIComponent(vm)}${tab === undefined ? "" : `/${tab}`}`;
export const snapshotPath = (snapshot: string, rest = ""): string =>
  `/v1/snapshots/${encodeURIComponent(snapshot)}${rest}`;
