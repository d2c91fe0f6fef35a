/** Where what is asked of a VM is, by its name or id. */
export function vmPath(vm: string): string {
  return `/v1/vms/${encodeURIComponent(vm)}`;
}
