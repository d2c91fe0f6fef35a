import { listenForHost } from "./bridge.ts";

/** What a fake Firecracker runs behind its API. Paths and names are those of the API's requests. */
export interface Machine {
  /** Makes the vsock's socket. */
  listen(vsock: NonNullable<MachineConfiguration["vsock"]>): Promise<void>;
  start(config: MachineConfiguration): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Writes both files. */
  save(memoryPath: string, statePath: string): Promise<void>;
  load(memoryPath: string, statePath: string, overrides: LoadOverrides): Promise<void>;
  /** A drive's file is another, or has another size. */
  changeDrive(driveId: string, path: string): Promise<void>;
}

export interface DriveConfiguration {
  drive_id: string;
  path_on_host: string;
  is_read_only: boolean;
}

/** All that was configured before the start, as `GET /vm/config` answers it. */
export interface MachineConfiguration {
  "boot-source"?: { kernel_image_path: string; initrd_path?: string; boot_args?: string };
  "machine-config": { vcpu_count: number; mem_size_mib: number };
  drives: DriveConfiguration[];
  vsock?: { guest_cid: number; uds_path: string };
  balloon?: { free_page_reporting?: boolean };
  card?: { host_dev_name: string; guest_mac?: string };
  serial?: { serial_out_path?: string; rate_limiter?: { size: number; one_time_burst?: number; refill_time: number } };
}

/** What of a saved machine is another when it is loaded. */
export interface LoadOverrides {
  vsockPath?: string;
  /** Where its console goes, which no snapshot has. */
  serial?: MachineConfiguration["serial"];
}

/** No machine: it does nothing, and says that it did. */
export class PretendedMachine implements Machine {
  readonly calls: string[] = [];
  /** Set to have the next call fail. */
  failure: string | undefined;

  async #note(call: string): Promise<void> {
    this.calls.push(call);
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw new Error(failure);
  }

  start = (): Promise<void> => this.#note("start");
  listen = async ({ uds_path }: { uds_path: string }): Promise<void> => void (await listenForHost(uds_path));
  pause = (): Promise<void> => this.#note("pause");
  resume = (): Promise<void> => this.#note("resume");
  save = (memoryPath: string, statePath: string): Promise<void> => this.#note(`save ${memoryPath} ${statePath}`);
  load = (memoryPath: string, statePath: string): Promise<void> => this.#note(`load ${memoryPath} ${statePath}`);
  changeDrive = (driveId: string, path: string): Promise<void> => this.#note(`drive ${driveId} ${path}`);
}
