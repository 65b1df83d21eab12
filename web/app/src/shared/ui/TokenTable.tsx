import type { UseMutationResult } from '@tanstack/react-query';
import type { ServerError } from '../api/request.ts';
import type { Token } from '../api/types.ts';
import { list, time } from '../format.ts';
import { Confirm } from './Confirm.tsx';
import { Table } from './Table.tsx';

/** Tokens, those that ended too. */
export function TokenTable({
  tokens,
  revoke,
  withOwner = false,
}: {
  tokens: readonly Token[];
  revoke: UseMutationResult<unknown, ServerError, number>;
  withOwner?: boolean;
}) {
  // Relative to when it was rendered; the server decides anyway.
  const rows = tokens.map((token) => {
    const cells = [
      token.name,
      ...(withOwner ? [token.login] : []),
      list(token.rights),
      token.ends === null ? 'no end' : time(token.ends),
      token.last_used === null ? 'never' : `${time(token.last_used)} from ${token.last_address ?? 'somewhere'}`,
      token.revoked === null ? (
        <Confirm
          label="Revoke"
          about={token.name}
          title={`Revoke “${token.name}”?`}
          action={revoke}
          input={token.id}
        >
          Programs that use it will be turned away from now on.
        </Confirm>
      ) : (
        `revoked ${time(token.revoked)}`
      ),
    ];
    return { key: String(token.id), cells, isWeak: token.revoked !== null };
  });
  const head = ['For', ...(withOwner ? ['Whose'] : []), 'Rights', 'Until', 'Last used', ''];
  return <Table label="Tokens" head={head} rows={rows} />;
}
