import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  writeSync,
} from "node:fs";
import path from "node:path";

/** The file that is written to. Tests put their own in its place, which fail. */
export interface SegmentFile {
  readonly file: string;
  readonly sizeBytes: number;
  /** All of it, or throws: then nothing of it counts, and the next write goes to the same place. */
  write(bytes: Buffer): void;
  truncate(sizeBytes: number): void;
  /** What has been written is on the disk. */
  sync(): Promise<void>;
  close(): void;
}

export type OpenSegment = (file: string) => SegmentFile;

export const openSegment: OpenSegment = (file) => {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  let sizeBytes = fstatSync(fd).size;
  if (sizeBytes === 0) syncFolder(path.dirname(file));
  return {
    file,
    get sizeBytes() {
      return sizeBytes;
    },
    write: (bytes) => {
      for (let done = 0; done < bytes.length; )
        done += writeSync(fd, bytes, done, bytes.length - done, sizeBytes + done);
      sizeBytes += bytes.length;
    },
    truncate: (size) => {
      ftruncateSync(fd, size);
      fdatasyncSync(fd);
      sizeBytes = size;
    },
    sync: () =>
      new Promise((resolve, reject) => {
        fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
      }),
    close: () => {
      fdatasyncSync(fd);
      closeSync(fd);
    },
  };
};

function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
