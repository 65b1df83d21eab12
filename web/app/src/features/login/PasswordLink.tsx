import { useState } from 'react';
import { useAction } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import { Form } from '../../shared/ui/Form.tsx';
import { NewPassword } from '../../shared/ui/NewPassword.tsx';
import { Page } from '../../shared/ui/Page.tsx';
import { useStrength } from '../../shared/ui/Strength.tsx';

/** Setting a password with the link that an administrator made. */
export function PasswordLink({ secret }: { secret: string }) {
  const [password, setPassword] = useState('');
  const [repeated, setRepeated] = useState('');
  const strength = useStrength(password, '', '');
  const action = useAction<undefined, { login: string }>(() =>
    send('POST', 'api/password-link', { secret, password }),
  );
  if (action.data !== undefined) {
    return (
      <Page title="Password set">
        <p>
          Your login is <strong>{action.data.login}</strong>.
        </p>
        <p>
          <a className="button" href="#/">
            Log in
          </a>
        </p>
      </Page>
    );
  }
  return (
    <Page title="Choose a password">
      <Form
        submit="Set the password"
        isBusy={action.isPending}
        error={action.error}
        isReady={strength?.is_enough === true && password === repeated}
        onSubmit={() => action.mutate(undefined)}
      >
        <NewPassword
          password={password}
          repeated={repeated}
          strength={strength}
          onPassword={setPassword}
          onRepeated={setRepeated}
        />
      </Form>
    </Page>
  );
}
