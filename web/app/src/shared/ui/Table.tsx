import type { ReactNode } from 'react';

export type Row = { key: string; cells: ReactNode[]; isWeak?: boolean };

/** A table that becomes a list of cards where there is no room for columns. */
export function Table({ label, head, rows }: { label: string; head: readonly string[]; rows: readonly Row[] }) {
  return (
    <div className="scroll">
      <table className="list" aria-label={label}>
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col">
                {name === '' ? <span className="unseen">Actions</span> : name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, cells, isWeak }) => (
            <tr key={key} className={isWeak === true ? 'over' : undefined}>
              {cells.map((cell, at) =>
                at === 0 ? (
                  <th key={head[at]} scope="row">
                    {cell}
                  </th>
                ) : (
                  <td key={head[at]} data-label={head[at]} className={head[at] === '' ? 'act' : undefined}>
                    <div>{cell}</div>
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
