import { useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { Token } from '../../shared/api/types.ts';
import { useHolds } from '../../shared/session.tsx';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Empty } from '../../shared/ui/Notice.tsx';
import { Page, Section } from '../../shared/ui/Page.tsx';
import { TokenTable } from '../../shared/ui/TokenTable.tsx';
import { Shares } from './Shares.tsx';

/** Everybody's tokens for administrators; shares. */
export function TokensPage() {
  const holds = useHolds();
  return (
    <Page title="Tokens and shares" lead="What programs, and people without an account, get in with.">
      <div className="cards">
        {holds('administer') && <AllTokens />}
        <Shares />
      </div>
    </Page>
  );
}

function AllTokens() {
  const tokens = useResource<{ tokens: Token[] }>('api/tokens');
  const revoke = useAction<number>((id) => send('DELETE', `api/tokens/${id}`), ['api/tokens', 'api/me/tokens']);
  return (
    <Section title="API tokens of everybody">
      <Loaded query={tokens}>
        {({ tokens: all }) =>
          all.length === 0 ? (
            <Empty>
              None. People make their own in <a href="#/profile">their profile</a>; service accounts get theirs on{' '}
              <a href="#/people">their page</a>.
            </Empty>
          ) : (
            <TokenTable tokens={all} revoke={revoke} withOwner />
          )
        }
      </Loaded>
    </Section>
  );
}
