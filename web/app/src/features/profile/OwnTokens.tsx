import { useState } from 'react';
import { useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { Token } from '../../shared/api/types.ts';
import { useMe } from '../../shared/session.tsx';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Empty } from '../../shared/ui/Notice.tsx';
import { Section } from '../../shared/ui/Page.tsx';
import { TokenForm, type MadeToken, type NewToken } from '../../shared/ui/TokenForm.tsx';
import { TokenTable } from '../../shared/ui/TokenTable.tsx';

const CHANGED = ['api/me/tokens', 'api/tokens'];

/** One's API tokens. */
export function OwnTokens() {
  const { rights } = useMe();
  const [isMaking, setIsMaking] = useState(false);
  const tokens = useResource<{ tokens: Token[] }>('api/me/tokens');
  const make = useAction<NewToken, MadeToken>((token) => send('POST', 'api/me/tokens', token), CHANGED);
  const revoke = useAction<number>((id) => send('DELETE', `api/me/tokens/${id}`), CHANGED);
  return (
    <Section
      title="Your API tokens"
      actions={
        <button type="button" className="quiet" onClick={() => setIsMaking(true)}>
          New token
        </button>
      }
    >
      <p className="weak">A token lets a program act in your name, with the rights that you give it.</p>
      {isMaking && (
        <TokenForm
          offered={rights}
          action={make}
          onClose={() => {
            setIsMaking(false);
            make.reset();
          }}
        />
      )}
      <Loaded query={tokens}>
        {({ tokens: list }) =>
          list.length === 0 ? (
            <Empty>No token yet. Scripts and other programs need one for DICOMweb.</Empty>
          ) : (
            <TokenTable tokens={list} revoke={revoke} />
          )
        }
      </Loaded>
    </Section>
  );
}
