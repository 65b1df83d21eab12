import { useState } from 'react';
import { useAction } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { Person } from '../../shared/api/types.ts';
import { Field } from '../../shared/ui/Field.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { NewPassword } from '../../shared/ui/NewPassword.tsx';
import { Done } from '../../shared/ui/Notice.tsx';
import { Section } from '../../shared/ui/Page.tsx';
import { useStrength } from '../../shared/ui/Strength.tsx';

/** Changing one's password. */
export function PasswordSection({ person }: { person: Person }) {
  const [isOpen, setIsOpen] = useState(false);
  const [isChanged, setIsChanged] = useState(false);
  if (!person.has_password) {
    return (
      <Section title="Password">
        <p>Your account has no password here: you log in at {person.issuer ?? 'another place'}.</p>
      </Section>
    );
  }
  return (
    <Section title="Password">
      {isChanged && <Done>Your password is changed; your other sessions have ended.</Done>}
      {isOpen ? (
        <ChangeForm
          person={person}
          onClose={() => setIsOpen(false)}
          onDone={() => {
            setIsOpen(false);
            setIsChanged(true);
          }}
        />
      ) : (
        <p>
          <button type="button" className="quiet" onClick={() => setIsOpen(true)}>
            Change the password
          </button>
        </p>
      )}
    </Section>
  );
}

function ChangeForm({ person, onClose, onDone }: { person: Person; onClose: () => void; onDone: () => void }) {
  const [present, setPresent] = useState('');
  const [password, setPassword] = useState('');
  const [repeated, setRepeated] = useState('');
  const strength = useStrength(password, person.login, person.name);
  const action = useAction<undefined>(
    () => send('PUT', 'api/me/password', { present, new: password }),
    ['api/me/sessions'],
  );
  return (
    <Form
      submit="Change"
      isBusy={action.isPending}
      error={action.error}
      isReady={present !== '' && strength?.is_enough === true && password === repeated}
      onCancel={onClose}
      onSubmit={() => action.mutate(undefined, { onSuccess: onDone })}
    >
      <Field
        label="Present password"
        type="password"
        autoComplete="current-password"
        required
        value={present}
        onChange={(event) => setPresent(event.target.value)}
      />
      <NewPassword
        password={password}
        repeated={repeated}
        strength={strength}
        onPassword={setPassword}
        onRepeated={setRepeated}
      />
    </Form>
  );
}
