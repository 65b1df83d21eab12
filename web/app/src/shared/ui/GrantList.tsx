import type { GrantInWords } from '../api/types.ts';
import { time } from '../format.ts';

/** What somebody may do, in words. */
export function GrantList({ grants, none }: { grants: readonly GrantInWords[]; none: string }) {
  if (grants.length === 0) {
    return <p className="none">{none}</p>;
  }
  return (
    <ul className="plain">
      {grants.map((grant) => (
        <li key={`${grant.text} ${grant.until ?? ''}`}>
          {grant.text}
          {grant.until !== null && <span className="weak"> Until {time(grant.until)}.</span>}
        </li>
      ))}
    </ul>
  );
}
