import { useState } from 'react';
import { useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { Person, Role } from '../../shared/api/types.ts';
import { time } from '../../shared/format.ts';
import { go } from '../../shared/router.ts';
import { Dialog } from '../../shared/ui/Dialog.tsx';
import { Check, Choice, Field } from '../../shared/ui/Field.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Empty } from '../../shared/ui/Notice.tsx';
import { Page } from '../../shared/ui/Page.tsx';
import { Table } from '../../shared/ui/Table.tsx';

type People = { people: Person[] };
export type Roles = { roles: Role[] };

/** Everybody who may log in, and service accounts. */
export function PeoplePage() {
  const people = useResource<People>('api/people');
  const [isAdding, setIsAdding] = useState(false);
  const [search, setSearch] = useState('');
  const isFound = (person: Person) =>
    [person.login, person.name, person.email, ...person.roles]
      .join(' ')
      .toLowerCase()
      .includes(search.trim().toLowerCase());
  return (
    <Page
      title="People"
      lead="Who may log in, and service accounts of programs."
      actions={
        <button type="button" onClick={() => setIsAdding(true)}>
          Add somebody
        </button>
      }
    >
      {isAdding && <AddPerson onClose={() => setIsAdding(false)} />}
      <form className="search" role="search" onSubmit={(event) => event.preventDefault()}>
        <Field
          label="Search people"
          type="search"
          autoComplete="off"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      </form>
      <Loaded query={people}>
        {({ people: everybody }) => {
          const found = everybody.filter(isFound);
          return found.length === 0 ? (
            <Empty>Nobody matches.</Empty>
          ) : (
            <Table
              label="People"
              head={['Name', 'Login', 'Roles', 'Second factor', 'Last seen', 'State']}
              rows={found.map(personRow)}
            />
          );
        }}
      </Loaded>
    </Page>
  );
}

function personRow(person: Person) {
  const factors = [
    ...(person.has_totp ? ['app'] : []),
    ...(person.passkeys > 0 ? [`${person.passkeys} passkeys`] : []),
  ];
  return {
    key: String(person.id),
    isWeak: !person.is_active,
    cells: [
      <a href={`#/people/${person.id}`}>
        <bdi>{person.name || person.login}</bdi>
      </a>,
      person.login,
      <span>
        {[...person.roles, ...person.external_roles].map((role) => (
          <span key={role} className="chip">
            {role}
          </span>
        ))}
      </span>,
      person.kind === 'service' ? '–' : factors.join(', ') || 'none',
      person.last_seen === null ? 'never' : time(person.last_seen),
      person.is_active ? (person.kind === 'service' ? 'service account' : 'active') : 'disabled',
    ],
  };
}

function AddPerson({ onClose }: { onClose: () => void }) {
  const roles = useResource<Roles>('api/roles');
  const [login, setLogin] = useState('');
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [kind, setKind] = useState('person');
  const [chosen, setChosen] = useState<string[]>([]);
  const action = useAction<undefined, { person: Person }>(
    () => send('POST', 'api/people', { login, name, email, kind, roles: chosen }),
    ['api/people'],
  );
  return (
    <Dialog title="Add somebody" onClose={onClose}>
      <Form
        submit="Add"
        isBusy={action.isPending}
        error={action.error}
        isReady={login.trim() !== ''}
        onCancel={onClose}
        onSubmit={() => action.mutate(undefined, { onSuccess: ({ person }) => go(`/people/${person.id}`) })}
      >
        <Field
          label="Login"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          required
          value={login}
          onChange={(event) => setLogin(event.target.value)}
        />
        <Field label="Name" autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} />
        <Field
          label="E-mail"
          type="email"
          autoComplete="off"
          value={email}
          onChange={(event) => setEmail(event.target.value)}
        />
        <Choice label="Kind" value={kind} onChange={(event) => setKind(event.target.value)}>
          <option value="person">Person</option>
          <option value="service">Service account (tokens only)</option>
        </Choice>
        <RoleChecks roles={roles.data?.roles ?? []} chosen={chosen} onChange={setChosen} />
      </Form>
    </Dialog>
  );
}

/** Roles to be ticked. */
export function RoleChecks({
  roles,
  chosen,
  onChange,
}: {
  roles: readonly Role[];
  chosen: readonly string[];
  onChange: (roles: string[]) => void;
}) {
  return (
    <fieldset>
      <legend>Roles</legend>
      <div className="checks one">
        {roles.map((role) => (
          <Check
            key={role.name}
            label={role.name}
            hint={role.description}
            checked={chosen.includes(role.name)}
            onChange={(event) =>
              onChange(
                event.target.checked ? [...chosen, role.name] : chosen.filter((other) => other !== role.name),
              )
            }
          />
        ))}
      </div>
    </fieldset>
  );
}
