import { useState } from 'react';
import { useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { Person } from '../../shared/api/types.ts';
import { Check, Field, TextField } from '../../shared/ui/Field.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { Done } from '../../shared/ui/Notice.tsx';
import { Section } from '../../shared/ui/Page.tsx';
import { RoleChecks, type Roles } from './PeoplePage.tsx';

/** Name, roles and state of an account. */
export function AccountSection({ path, person }: { path: string; person: Person }) {
  const roles = useResource<Roles>('api/roles');
  const [name, setName] = useState(person.name);
  const [email, setEmail] = useState(person.email);
  const [dicomNames, setDicomNames] = useState(person.dicom_names.join('\n'));
  const [isActive, setIsActive] = useState(person.is_active);
  const [chosen, setChosen] = useState(person.roles);
  const action = useAction<undefined>(
    () =>
      send('PATCH', path, {
        name,
        email,
        dicom_names: dicomNames
          .split('\n')
          .map((line) => line.trim())
          .filter((line) => line !== ''),
        is_active: isActive,
        roles: chosen,
      }),
    [path, 'api/people', 'api/me'],
  );
  return (
    <Section title="Account">
      <Form
        submit="Save"
        isBusy={action.isPending}
        error={action.error}
        onSubmit={() => action.mutate(undefined)}
      >
        <div className="columns">
          <Field label="Name" autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} />
          <Field
            label="E-mail"
            type="email"
            autoComplete="off"
            value={email}
            onChange={(event) => setEmail(event.target.value)}
          />
        </div>
        <TextField
          label="Names in DICOM"
          rows={2}
          spellCheck={false}
          value={dicomNames}
          onChange={(event) => setDicomNames(event.target.value)}
          hint="One in each line, as FAMILY^GIVEN: studies that refer to, are requested or performed by them are their own."
        />
        <Check
          label="May log in"
          checked={isActive}
          onChange={(event) => setIsActive(event.target.checked)}
        />
        <RoleChecks roles={roles.data?.roles ?? []} chosen={chosen} onChange={setChosen} />
        {person.external_roles.length > 0 && (
          <p className="hint">From groups of the identity provider also: {person.external_roles.join(', ')}.</p>
        )}
        {action.isSuccess && <Done>Saved.</Done>}
      </Form>
    </Section>
  );
}
