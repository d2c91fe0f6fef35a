import net from "node:net";

/** True when anything like an agent's first line comes over the channel before the deadline. */
export function openProbeChannel(
  socketPath: string,
  deadlineMs: number,
  vmmClosed: Promise<void>,
  signal?: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath);
    let text = "";
    const finish = (answered: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      socket.destroy();
      resolve(answered);
    };
    const onAbort = () => finish(false);
    const timer = setTimeout(onAbort, Math.max(deadlineMs, 0));
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.on("error", onAbort);
    socket.on("data", (chunk) => {
      text = (text + chunk.toString("latin1")).slice(-256);
      if (text.includes("\nfirebreak-agent ")) finish(true);
    });
    void vmmClosed.then(onAbort);
  });
}
