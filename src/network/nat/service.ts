import { readFile } from "node:fs/promises";
import type { NatSetup, NatStatus } from "../../contract/nat.ts";
import { natSetupSchema } from "../../contract/nat.ts";
import type { EgressPolicy } from "../../contract/policy.ts";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import type { GuestCard } from "../../guest/protocol.ts";
import type { NetworkCard } from "../../vmm/driver.ts";
import type { NatSettings, NatSetUp } from "../nat-settings.ts";
import { compileAddresses } from "./address-rules.ts";
import { runNetworkTool } from "./host-tools.ts";
import { DEFAULT_SUBNET, gatewayOf, type Lease, leaseOf, parseSubnet, type Subnet } from "./lease.ts";
import { addTap, ensureBridge, findLinkDrift, joinBridge, listDevices, removeBridge, removeTap } from "./links.ts";
import { findNameservers } from "./nameservers.ts";
import { addTapWithin, cardWithin } from "./namespaces.ts";
import { clearTables, type Station, TABLES, writeTable } from "./table.ts";

const WATCH_MS = 10_000;
/** What QEMU's user-mode networking gives its one guest (QEMU's documentation, "Using the user mode network stack"). */
const USER_CARD: GuestCard = {
  mac: "0a:fb:00:00:00:02",
  address: "10.0.2.15",
  prefixBits: 24,
  gateway: "10.0.2.2",
  nameservers: ["10.0.2.3"],
};

/** A VM whose policy is of the mode `nat`. */
export interface NatVm {
  id: string;
  name: string;
  /** No two VMs have the same. */
  uid: number;
  policy: EgressPolicy;
}

export interface NatServiceOptions {
  settings: NatSettings;
  /** The smallest user id of VMs: addresses are counted from it. */
  firstUid: number;
  /** Tells this installation's bridge from another's: letters and digits. */
  owner: string;
  isRoot: boolean;
  log: (message: string, fields: Record<string, unknown>) => void;
  /** Something on the host had been changed, and has been put back. */
  onRepair: (vmIds: string[], what: string[]) => void;
  /** VMs may ask other name servers from now on than they have been told. Never throws. */
  onNameservers: (vmIds: string[]) => Promise<void>;
}

/** Network cards: TAP devices at a bridge of the host, and tables of nftables that say what each VM may reach. */
export class NatService {
  readonly #options: NatServiceOptions;
  readonly #stations = new Map<string, { vm: NatVm; lease: Lease }>();
  #tail: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  /** The table as nft itself writes it, after it was last set. */
  #listing = "";
  #nameservers: string[] = [];
  #lastRepair: NatStatus["lastRepair"];

  constructor(options: NatServiceOptions) {
    this.#options = options;
  }

  /** Finds again what the daemon before has left, with the VMs that go on. What cannot be put right is logged: no VM starts before it is. */
  async recover(vms: readonly NatVm[]): Promise<void> {
    const setUp = this.#options.settings.get();
    if (setUp?.kind !== "tap") return;
    const subnet = parseSubnet(setUp.subnet);
    for (const vm of vms) this.#stations.set(vm.id, { vm, lease: leaseOf(subnet, this.#numberOf(vm)) });
    await this.#alone(async () => {
      const before = await this.#list();
      await this.#raise(setUp);
      if (before !== "" && before !== this.#listing) this.#noteRepair(["the table had been changed"]);
    }).catch((error: unknown) =>
      this.#options.log("the network of VMs could not be set up", { error: toFirebreakError(error).message }),
    );
    this.#watch();
  }

  /** Changes this host: a bridge, packet forwarding, a table of nftables. Throws NETWORK_IN_USE, NETWORK_SETUP_FAILED, TOOL_NOT_FOUND. */
  async setup(request: NatSetup): Promise<NatStatus> {
    const { kind, subnet: asked, nameservers } = natSetupSchema.parse(request);
    if (kind === "tap" && !this.#options.isRoot)
      throw new FirebreakError("NETWORK_SETUP_FAILED", "only root can give VMs network cards of their own", {
        hint: "Run the daemon as root; or, if VMs may reach what listens on this host's loopback: firebreak network setup --user",
      });
    if (asked !== undefined) parseSubnet(asked);
    const nameserversBefore = this.#nameservers;
    await this.#alone(async () => {
      const old = this.#options.settings.get();
      // Said again for another name server, it is not to take VMs their addresses.
      const subnet = asked ?? old?.subnet ?? DEFAULT_SUBNET;
      const isOther = old !== undefined && (old.kind !== kind || old.subnet !== subnet);
      if (isOther && this.#stations.size > 0) throw this.#inUse();
      if (isOther) await this.#lower(old);
      const setUp: NatSetUp = {
        ...{ kind, subnet, hasSetForwarding: old?.hasSetForwarding ?? false },
        ...(nameservers === undefined ? {} : { nameservers }),
      };
      // First, so that what is begun is found again and torn down, whatever becomes of it.
      this.#options.settings.set(setUp);
      if (kind !== "tap") return;
      await this.#raise(setUp).catch(async (error: unknown) => {
        if (old === undefined) {
          await this.#lower(setUp).catch(() => {});
          this.#options.settings.set(undefined);
        }
        // The old rules hold still: what is said of them, and what VMs are told, is what holds.
        if (old !== undefined && !isOther) {
          const hasSetForwarding = this.#options.settings.get()?.hasSetForwarding ?? old.hasSetForwarding;
          this.#options.settings.set({ ...old, hasSetForwarding });
          this.#nameservers = nameserversBefore;
        }
        throw error;
      });
    });
    this.#watch();
    if (this.#nameservers.join() !== nameserversBefore.join())
      await this.#options.onNameservers([...this.#stations.keys()]);
    return this.status();
  }

  /** Takes back what `setup` has changed. Throws NETWORK_IN_USE while VMs have cards. */
  async teardown(): Promise<void> {
    await this.#alone(async () => {
      const setUp = this.#options.settings.get();
      if (setUp === undefined) return;
      if (this.#stations.size > 0) throw this.#inUse();
      await this.#lower(setUp);
      this.#options.settings.set(undefined);
      clearInterval(this.#timer);
      this.#timer = undefined;
    });
  }

  async status(): Promise<NatStatus> {
    const setUp = this.#options.settings.get();
    if (setUp === undefined) return { isSetUp: false, nameservers: [], vms: [], drift: [] };
    const isTap = setUp.kind === "tap";
    return {
      isSetUp: true,
      kind: setUp.kind,
      ...(isTap ? { subnet: setUp.subnet, gateway: gatewayOf(parseSubnet(setUp.subnet)) } : {}),
      nameservers: isTap ? this.#nameservers : USER_CARD.nameservers,
      vms: [...this.#stations.values()].map(({ vm, lease }) => ({
        vm: vm.name,
        address: isTap ? lease.address : USER_CARD.address,
        ...(isTap ? { device: lease.device } : {}),
      })),
      drift: isTap
        ? await this.#alone(() => this.#findDrift()).catch((error) => [toFirebreakError(error).message])
        : [],
      ...(this.#lastRepair === undefined ? {} : { lastRepair: this.#lastRepair }),
    };
  }

  /** What is said of a policy before it is a VM's. Throws NETWORK_NOT_SET_UP, and POLICY_INVALID for rules that nobody would enforce. */
  check({ allow, deny }: EgressPolicy): void {
    const { kind } = this.#require();
    if (kind === "user" && (allow !== undefined || deny !== undefined))
      throw new FirebreakError(
        "POLICY_INVALID",
        "user-mode networking has no rules: allow and deny cannot be enforced",
        {
          hint: "With root there are rules: firebreak network setup; or use names (mode allowlist), which need no root.",
        },
      );
  }

  /** A card for a VM that is about to start, with its rules in force. Throws what keeps them from that. */
  async plug(vm: NatVm, { hasOwnNamespace }: { hasOwnNamespace: boolean }): Promise<NetworkCard> {
    this.check(vm.policy);
    return this.#alone(async () => {
      // Now, and not before others have set up another network, or torn this one down.
      const { kind, subnet } = this.#require();
      if (kind === "user") return { kind: "user" };
      const lease = leaseOf(parseSubnet(subnet), this.#numberOf(vm));
      try {
        if (hasOwnNamespace) await addTapWithin(lease, vm.uid);
        else await addTap(lease, vm.uid);
        this.#stations.set(vm.id, { vm, lease });
        await this.#apply();
      } catch (error) {
        this.#stations.delete(vm.id);
        await removeTap(lease).catch(() => {});
        throw error;
      }
      return hasOwnNamespace ? cardWithin(lease) : { kind: "tap", device: lease.device };
    });
  }

  /** What a VM's device has carried since its VMM was started. What the host gets of it the guest has sent. */
  async traffic(vmId: string): Promise<{ receivedBytes: number; sentBytes: number } | undefined> {
    const device = this.#stations.get(vmId)?.lease.device;
    if (device === undefined) return undefined;
    const read = async (name: string) =>
      Number(await readFile(`/sys/class/net/${device}/statistics/${name}`, "utf8").catch(() => "0"));
    return { receivedBytes: await read("rx_bytes"), sentBytes: await read("tx_bytes") };
  }

  /** The VM's VMM has ended. Never throws: what is left is an unused device, which the next start of the VM replaces. */
  async unplug(vmId: string): Promise<void> {
    const station = this.#stations.get(vmId);
    if (station === undefined) return;
    await this.#alone(async () => {
      this.#stations.delete(vmId);
      await removeTap(station.lease);
      await this.#apply();
    }).catch((error: unknown) =>
      this.#options.log("a network card was not removed", {
        vm: station.vm.name,
        error: toFirebreakError(error).message,
      }),
    );
  }

  /** Another policy holds for a running VM from now on. Throws NETWORK_SETUP_FAILED; then the old one does. */
  async enforce(vm: NatVm): Promise<void> {
    this.check(vm.policy);
    const station = this.#stations.get(vm.id);
    if (station === undefined) return;
    await this.#alone(async () => {
      this.#stations.set(vm.id, { ...station, vm });
      await this.#apply().catch((error: unknown) => {
        this.#stations.set(vm.id, station);
        throw error;
      });
    });
  }

  /** What this host is set up for; undefined before it is. */
  get kind(): NatSetUp["kind"] | undefined {
    return this.#options.settings.get()?.kind;
  }

  /** User-mode networking keeps connections in the VMM, which a saved machine goes on without. */
  get isSavable(): boolean {
    return this.kind !== "user";
  }

  /** What a guest is told of its card. Throws NETWORK_NOT_SET_UP. */
  cardOf(vm: NatVm): GuestCard {
    const { kind, subnet: text } = this.#require();
    if (kind === "user") return USER_CARD;
    const subnet = parseSubnet(text);
    const { address, mac } = leaseOf(subnet, this.#numberOf(vm));
    return { address, mac, prefixBits: subnet.bits, gateway: gatewayOf(subnet), nameservers: this.#nameservers };
  }

  /** The address of this host that a VM's gateway is: the bridge's, or, with user-mode networking, loopback. */
  get hostAddress(): string {
    const { kind, subnet } = this.#require();
    return kind === "user" ? "127.0.0.1" : gatewayOf(parseSubnet(subnet));
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #require(): NatSetUp {
    const setUp = this.#options.settings.get();
    if (setUp !== undefined) return setUp;
    throw new FirebreakError("NETWORK_NOT_SET_UP", "this host is not set up for VMs with a network card (mode nat)", {
      hint: "Set it up (a bridge, packet forwarding, a table of nftables): firebreak network setup. Names need none of that: --allow HOST",
    });
  }

  #inUse(): FirebreakError {
    const names = [...this.#stations.values()].map(({ vm }) => vm.name);
    return new FirebreakError("NETWORK_IN_USE", `VMs have network cards: ${names.join(", ")}`, {
      hint: "Stop them first: firebreak vm stop NAME",
      details: { vms: names },
    });
  }

  #numberOf({ uid }: NatVm): number {
    return uid - this.#options.firstUid;
  }

  async #raise(setUp: NatSetUp): Promise<void> {
    const subnet = parseSubnet(setUp.subnet);
    const { hasSetForwarding } = await ensureBridge(subnet, this.#options.owner);
    if (hasSetForwarding) this.#options.settings.set({ ...setUp, hasSetForwarding });
    this.#nameservers = setUp.nameservers ?? (await findNameservers());
    if (setUp.nameservers === undefined && this.#nameservers.length === 0)
      throw new FirebreakError("NETWORK_SETUP_FAILED", "this host names no name server that VMs could ask", {
        hint: "Name one, or none: firebreak network setup --nameserver ADDRESS|none",
      });
    const devices = await listDevices();
    for (const { lease } of this.#stations.values()) if (devices.has(lease.device)) await joinBridge(lease);
    await this.#apply();
  }

  async #lower({ kind, hasSetForwarding }: NatSetUp): Promise<void> {
    if (kind !== "tap") return;
    await runNetworkTool("nft", ["-f", "-"], clearTables());
    await removeBridge(
      this.#options.owner,
      [...this.#stations.values()].map(({ lease }) => lease),
      hasSetForwarding,
    );
    this.#listing = "";
  }

  /** In one transaction: the old rules hold until the new ones do. */
  async #apply(): Promise<void> {
    const subnet: Subnet = parseSubnet(this.#require().subnet);
    const devices = await listDevices();
    const stations: Station[] = [];
    // A device that somebody has removed can have no rules; nor has its VM a way out.
    for (const { vm, lease } of this.#stations.values())
      if (devices.has(lease.device)) stations.push({ lease, policy: compileAddresses(vm.policy) });
    await runNetworkTool("nft", ["-f", "-"], writeTable({ subnet, stations, nameservers: this.#nameservers }));
    this.#listing = await this.#list();
  }

  /** Empty when one of the tables is missing. */
  async #list(): Promise<string> {
    const { stdout } = await runNetworkTool("nft", ["list", "tables"]);
    const present = stdout.split("\n");
    if (!TABLES.every((table) => present.includes(`table ${table}`))) return "";
    const listings: string[] = [];
    for (const table of TABLES)
      listings.push((await runNetworkTool("nft", ["-s", "list", "table", ...table.split(" ")])).stdout);
    return listings.join("");
  }

  async #findDrift(): Promise<string[]> {
    const listing = await this.#list();
    const links = await findLinkDrift([...this.#stations.values()].map(({ lease }) => lease));
    return [
      ...(listing === "" ? ["the table is gone"] : listing === this.#listing ? [] : ["the table has been changed"]),
      ...links,
    ];
  }

  #watch(): void {
    this.#timer ??= setInterval(() => void this.#repair(), WATCH_MS).unref();
  }

  /** Puts back what others have changed. */
  async #repair(): Promise<void> {
    await this.#alone(async () => {
      // Now: what was torn down while this waited for its turn is not to come back.
      const setUp = this.#options.settings.get();
      if (setUp?.kind !== "tap") return;
      const drift = await this.#findDrift();
      if (drift.length === 0) return;
      const nameserversBefore = this.#nameservers.join();
      await this.#raise(setUp);
      // The host may name others by now. Guests take their time, and nobody waits for it.
      if (this.#nameservers.join() !== nameserversBefore) void this.#options.onNameservers([...this.#stations.keys()]);
      const left = await this.#findDrift();
      // A VM's own device cannot be put back while it runs: that is told once, not every ten seconds.
      const mended = drift.filter((what) => !left.includes(what));
      if (mended.length > 0) this.#noteRepair(mended);
    }).catch((error: unknown) =>
      this.#options.log("the network of VMs is not as it should be", { error: toFirebreakError(error).message }),
    );
  }

  #noteRepair(what: string[]): void {
    this.#lastRepair = { at: new Date().toISOString(), what };
    this.#options.log("the network of VMs had been changed, and has been put back", { what });
    this.#options.onRepair([...this.#stations.keys()], what);
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task, task);
    this.#tail = result.catch(() => {});
    return result;
  }
}
