import { useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { GrantInWords, Person, PersonalGrant, Session, Token } from '../../shared/api/types.ts';
import { browser, counted, time } from '../../shared/format.ts';
import { go } from '../../shared/router.ts';
import { useMe } from '../../shared/session.tsx';
import { Confirm } from '../../shared/ui/Confirm.tsx';
import { GrantList } from '../../shared/ui/GrantList.tsx';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Empty, Failure } from '../../shared/ui/Notice.tsx';
import { Page, Section } from '../../shared/ui/Page.tsx';
import { Secret } from '../../shared/ui/Secret.tsx';
import { Table } from '../../shared/ui/Table.tsx';
import { AccountSection } from './AccountSection.tsx';
import { GrantSection } from './GrantSection.tsx';
import { ServiceTokens } from './ServiceTokens.tsx';

type Detail = {
  person: Person;
  grants: GrantInWords[];
  personal_grants: PersonalGrant[];
  sessions: Session[];
  tokens: Token[];
};

/** One person, for administrators. */
export function PersonPage({ id }: { id: string }) {
  const path = `api/people/${id}`;
  const detail = useResource<Detail>(path);
  const back = (
    <a className="back" href="#/people">
      ← People
    </a>
  );
  return (
    <>
      {back}
      <Loaded query={detail}>{(found) => <Known path={path} detail={found} />}</Loaded>
    </>
  );
}

function Known({ path, detail }: { path: string; detail: Detail }) {
  const { person } = detail;
  return (
    <Page
      title={person.name || person.login}
      lead={`Login ${person.login} · ${person.kind === 'service' ? 'service account' : 'person'} · since ${time(person.created)}`}
    >
      <div className="cards">
        <AccountSection key={JSON.stringify(person)} path={path} person={person} />
        <Section title="What they may do, and why">
          <GrantList grants={detail.grants} none="Nothing as yet: give them a role or a grant. A role for their own studies needs a name in DICOM." />
        </Section>
        <GrantSection path={path} grants={detail.personal_grants} />
        {person.kind === 'service' ? (
          <ServiceTokens path={path} tokens={detail.tokens} />
        ) : (
          <LogInSection path={path} detail={detail} />
        )}
        <Ends path={path} person={person} />
      </div>
    </Page>
  );
}

function LogInSection({ path, detail }: { path: string; detail: Detail }) {
  const { person, sessions, tokens } = detail;
  const link = useAction<undefined, { link: string }>(() => send('POST', `${path}/password-link`));
  const end = useAction<undefined>(() => send('DELETE', `${path}/sessions`), [path]);
  const removeTotp = useAction<undefined>(() => send('DELETE', `${path}/totp`), [path, 'api/people']);
  return (
    <Section title="Logging in">
      <p>
        {person.has_password ? 'There is a password.' : 'There is no password as yet.'}{' '}
        {person.has_totp ? 'An authenticator app is asked for.' : 'There is no authenticator app.'}{' '}
        {tokens.length > 0 && `There are ${counted(tokens.length, 'API token')}.`}
      </p>
      {link.data !== undefined && (
        <>
          <p>Give this link to the person on a way that you trust. It works once, and is not shown again.</p>
          <Secret label="Link that sets the password" value={link.data.link} />
        </>
      )}
      <Failure error={link.error} />
      <div className="buttons">
        <button type="button" className="quiet" disabled={link.isPending} onClick={() => link.mutate(undefined)}>
          Make a password link
        </button>
        {person.has_totp && (
          <Confirm label="Remove the app" title="Remove the authenticator app?" action={removeTotp} input={undefined}>
            The password alone will be enough. Make sure that it is really them who ask.
          </Confirm>
        )}
      </div>
      {sessions.length === 0 ? (
        <Empty>Not logged in anywhere.</Empty>
      ) : (
        <>
          <Table
            label="Sessions"
            head={['Browser', 'Address', 'Last used', 'By']}
            rows={sessions.map((session) => ({
              key: String(session.id),
              cells: [browser(session.user_agent), session.address ?? '', time(session.last_used), session.method],
            }))}
          />
          <p>
            <Confirm label="End all sessions" title="End all sessions?" action={end} input={undefined}>
              The person has to log in again everywhere.
            </Confirm>
          </p>
        </>
      )}
    </Section>
  );
}

function Ends({ path, person }: { path: string; person: Person }) {
  const me = useMe();
  const remove = useAction<undefined>(() => send('DELETE', path), ['api/people']);
  if (me.person?.id === person.id) {
    return null;
  }
  return (
    <Section title="Deleting the account">
      <p>
        What the person did stays in the audit trail under the login. To keep somebody out for a while, disable the
        account instead.
      </p>
      <p>
        <Confirm
          label="Delete the account"
          title={`Delete ${person.login}?`}
          action={remove}
          input={undefined}
          onDone={() => go('/people')}
        >
          Sessions, tokens and shares of the account end with it.
        </Confirm>
      </p>
    </Section>
  );
}
