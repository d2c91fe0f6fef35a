import type { ReactNode } from "react";
import { Link } from "wouter";

export interface Column<Row> {
  /** Unique in its table. */
  id: string;
  header: string;
  cell: (row: Row) => ReactNode;
  /** `end` for numbers. */
  align?: "start" | "end";
  /** Left out on a narrow screen. */
  isMinor?: boolean;
  /** Takes what room there is, and is cut with an ellipsis; on a narrow screen, unless it is the first one, it has more lines instead. */
  isWide?: boolean;
  /** Takes what room there is on a narrow screen, in more lines than one. */
  wrapsWhenNarrow?: boolean;
}

interface TableProps<Row> {
  /** What the table lists, for those who cannot see it. */
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** Where a row leads: the first column is a link there, and a click anywhere in the row follows it. */
  href?: (row: Row) => string;
  /** In the place of a table without rows. */
  empty?: ReactNode;
}

export function Table<Row>({ label, columns, rows, rowKey, href, empty }: TableProps<Row>) {
  if (rows.length === 0 && empty !== undefined) return <>{empty}</>;
  const classOf = ({ align, isMinor, isWide, wrapsWhenNarrow }: Column<Row>) =>
    [
      ...(align === "end" ? ["cell-end"] : []),
      ...(isMinor ? ["cell-minor"] : []),
      ...(isWide ? ["cell-wide"] : []),
      ...(wrapsWhenNarrow ? ["cell-wraps"] : []),
    ].join(" ");
  return (
    <div className="table-frame">
      <table className="table" aria-label={label}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.id} scope="col" className={classOf(column)}>
                {column.header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)} className={href === undefined ? undefined : "row-link"}>
              {columns.map((column, index) => (
                <td key={column.id} className={classOf(column)}>
                  {index === 0 && href !== undefined ? (
                    <Link href={href(row)} className="cell-link">
                      {column.cell(row)}
                    </Link>
                  ) : (
                    column.cell(row)
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
