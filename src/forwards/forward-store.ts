/** A port forward as the store keeps it. */
export interface ForwardRecord {
  id: string;
  vmId: string;
  hostAddress: string;
  hostPort: number;
  guestPort: number;
  createdAt: string;
}

/** Where forwards are kept; those of a VM go with its row. A write is durable before it returns. */
export interface ForwardStore {
  /** Throws PORT_IN_USE when another forward has the address, VM_NOT_FOUND when the VM is gone. */
  insert(record: ForwardRecord): void;
  remove(id: string): void;
  get(id: string): ForwardRecord | undefined;
  /** The oldest first; of one VM, or of all. */
  list(vmId?: string): ForwardRecord[];
}
