import { useState } from 'react';
import { useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import { NOT_RESTRICTED, type Right, type Role, type Scope } from '../../shared/api/types.ts';
import { list } from '../../shared/format.ts';
import { isAboutStudies, scopeInWords } from '../../shared/rights.ts';
import { Confirm } from '../../shared/ui/Confirm.tsx';
import { Dialog } from '../../shared/ui/Dialog.tsx';
import { Check, Field } from '../../shared/ui/Field.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Page } from '../../shared/ui/Page.tsx';
import { RightsFields } from '../../shared/ui/RightsFields.tsx';
import { ScopeFields } from '../../shared/ui/ScopeFields.tsx';

const CHANGED = ['api/roles', 'api/me'];

/** Built-in roles and own ones. */
export function RolesPage() {
  const roles = useResource<{ roles: Role[] }>('api/roles');
  const [edited, setEdited] = useState<Role | 'new'>();
  return (
    <Page
      title="Roles"
      lead="A role gives rights over some studies. Who has several may do what any of them allows."
      actions={
        <button type="button" onClick={() => setEdited('new')}>
          New role
        </button>
      }
    >
      {edited !== undefined && (
        <RoleForm role={edited === 'new' ? undefined : edited} onClose={() => setEdited(undefined)} />
      )}
      <Loaded query={roles}>
        {({ roles: all }) => (
          <ul className="tiles">
            {all.map((role) => (
              <RoleCard key={role.name} role={role} onEdit={() => setEdited(role)} />
            ))}
          </ul>
        )}
      </Loaded>
    </Page>
  );
}

function RoleCard({ role, onEdit }: { role: Role; onEdit: () => void }) {
  const remove = useAction<string>((name) => send('DELETE', `api/roles/${encodeURIComponent(name)}`), CHANGED);
  return (
    <li className="card">
      <header className="card-head">
        <h2>{role.name}</h2>
        {role.is_built_in && <span className="chip">built in</span>}
      </header>
      {role.description !== '' && <p>{role.description}</p>}
      <p>
        May <strong>{list(role.rights) || 'do nothing'}</strong>
        {role.rights.some(isAboutStudies) && `: ${scopeInWords(role.scope, role.only_own_studies)}`}.
      </p>
      {!role.is_built_in && (
        <div className="buttons">
          <button type="button" className="quiet small" aria-label={`Change: ${role.name}`} onClick={onEdit}>
            Change
          </button>
          <Confirm
            label="Delete"
            about={role.name}
            title={`Delete the role ${role.name}?`}
            action={remove}
            input={role.name}
          >
            Only a role that nobody has can be deleted.
          </Confirm>
        </div>
      )}
    </li>
  );
}

function RoleForm({ role, onClose }: { role: Role | undefined; onClose: () => void }) {
  const [name, setName] = useState(role?.name ?? '');
  const [description, setDescription] = useState(role?.description ?? '');
  const [rights, setRights] = useState<Right[]>(role?.rights ?? ['view']);
  const [scope, setScope] = useState<Scope>(role?.scope ?? NOT_RESTRICTED);
  const [onlyOwn, setOnlyOwn] = useState(role?.only_own_studies ?? false);
  const action = useAction<undefined>(() => {
    const described = { description, rights, scope, only_own_studies: onlyOwn };
    return role === undefined
      ? send('POST', 'api/roles', { name, ...described })
      : send('PUT', `api/roles/${encodeURIComponent(role.name)}`, described);
  }, CHANGED);
  return (
    <Dialog title={role === undefined ? 'New role' : `Role ${role.name}`} onClose={onClose}>
      <Form
        submit="Save"
        isBusy={action.isPending}
        error={action.error}
        isReady={name !== '' && rights.length > 0}
        onCancel={onClose}
        onSubmit={() => action.mutate(undefined, { onSuccess: onClose })}
      >
        <Field
          label="Name"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          required
          disabled={role !== undefined}
          value={name}
          onChange={(event) => setName(event.target.value)}
          hint="Small letters, digits and - _ ."
        />
        <Field
          label="What it is for"
          autoComplete="off"
          value={description}
          onChange={(event) => setDescription(event.target.value)}
        />
        <RightsFields rights={rights} onChange={setRights} />
        <ScopeFields scope={scope} onChange={setScope} />
        <Check
          label="Only their own studies"
          hint="which they ordered, performed or were given"
          checked={onlyOwn}
          onChange={(event) => setOnlyOwn(event.target.checked)}
        />
      </Form>
    </Dialog>
  );
}
