/** Icons are drawn in the text's colour; what they mean is said beside them. */
const PATHS = {
  overview: "M4 13h6V4H4zm0 7h6v-5H4zm8 0h8v-9h-8zm0-16v5h8V4z",
  task: "M9 11l3 3 8-8M20 12v7a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1h10",
  vm: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01",
  server: "M9 3v4M15 3v4M7 7h10v4a5 5 0 0 1-10 0zM12 16v5",
  secret: "M10.8 12.2L20 3M17 6l3 3M13.5 9.5l2.5 2.5M8 11a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  audit: "M7 4h10a1 1 0 0 1 1 1v15l-3-2-3 2-3-2-3 2V5a1 1 0 0 1 1-1zM9 9h6M9 13h6",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M4.9 4.900l1.4 1.400M17.7 17.700l1.4 1.400M2 12h2M20 12h2M4.9 19.100l1.4-1.400M17.7 6.300l1.4-1.4",
  moon: "M20 14.500A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.500z",
  logout: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9",
  plus: "M12 5v14M5 12h14",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4 4",
  close: "M6 6l12 12M18 6L6 18",
  chevron: "M9 6l6 6-6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  up: "M12 19V5M6 11l6-6 6 6",
  file: "M7 3h7l5 5v12a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM14 3v5h5",
  folder: "M3 6h7l2 3h9v10H3z",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  stop: "M7 7h10v10H7z",
  retry: "M4 12a8 8 0 1 0 2.5-5.800M4 4v5h5",
  alert: "M12 4l9 16H3zM12 10v4M12 17h.01",
  check: "M5 12l5 5L20 7",
  tool: "M14 6a4 4 0 0 1 5-1l-2.5 2.5 1 2 2 1L22 8a4 4 0 0 1-5.5 4.500L9 20l-3-3 7.5-7.500A4 4 0 0 1 14 6z",
  thinking: "M12 3a6 6 0 0 0-3.5 10.900V17h7v-3.100A6 6 0 0 0 12 3zM9.5 20.500h5",
  text: "M4 5h16v11H9l-5 4z",
  terminal: "M4 5h16v14H4zM7 9l3 3-3 3M12 15h5",
  play: "M7 5l12 7-12 7z",
  fork: "M7 4v6a3 3 0 0 0 3 3h4a3 3 0 0 1 3 3v4M7 10v10M7 4h.01M17 20h.01",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  copy: "M8 8h11v12H8zM5 16V4h11",
} as const;
export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
