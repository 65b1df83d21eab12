import { useState } from 'react';
import { useAction } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { Token } from '../../shared/api/types.ts';
import { RIGHTS } from '../../shared/rights.ts';
import { Empty } from '../../shared/ui/Notice.tsx';
import { Section } from '../../shared/ui/Page.tsx';
import { TokenForm, type MadeToken, type NewToken } from '../../shared/ui/TokenForm.tsx';
import { TokenTable } from '../../shared/ui/TokenTable.tsx';

/** Tokens of a service account. */
export function ServiceTokens({ path, tokens }: { path: string; tokens: readonly Token[] }) {
  const [isMaking, setIsMaking] = useState(false);
  const changed = [path, 'api/tokens'];
  const make = useAction<NewToken, MadeToken>((token) => send('POST', `${path}/tokens`, token), changed);
  const revoke = useAction<number>((id) => send('DELETE', `api/tokens/${id}`), changed);
  return (
    <Section
      title="API tokens"
      actions={
        <button type="button" className="quiet" onClick={() => setIsMaking(true)}>
          New token
        </button>
      }
    >
      {isMaking && (
        <TokenForm
          offered={RIGHTS.map(({ right }) => right)}
          action={make}
          onClose={() => {
            setIsMaking(false);
            make.reset();
          }}
        />
      )}
      {tokens.length === 0 ? (
        <Empty>None. A service account can do nothing until it has a token.</Empty>
      ) : (
        <TokenTable tokens={tokens} revoke={revoke} />
      )}
    </Section>
  );
}
