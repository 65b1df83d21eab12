import { useState } from 'react';
import { useAction } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { LoginWays } from '../../shared/api/types.ts';
import { replace } from '../../shared/router.ts';
import { useRefreshSession } from '../../shared/session.tsx';
import { Field } from '../../shared/ui/Field.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { NewPassword } from '../../shared/ui/NewPassword.tsx';
import { Page } from '../../shared/ui/Page.tsx';
import { useStrength } from '../../shared/ui/Strength.tsx';

/** The first administrator, by the link that the server printed. */
export function SetUp({ secret, ways }: { secret: string; ways: LoginWays }) {
  const [login, setLogin] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [repeated, setRepeated] = useState('');
  const strength = useStrength(password, login, name);
  const refresh = useRefreshSession();
  const action = useAction<undefined>(
    () => send('POST', 'api/set-up', { secret, login, name, password }),
    ['api/login'],
  );
  if (!ways.needs_set_up) {
    return (
      <Page title="Set up already">
        <p>There is an administrator already, so this link is used up.</p>
        <p>
          <a className="button" href="#/">
            Log in
          </a>
        </p>
      </Page>
    );
  }
  return (
    <Page title="Welcome" lead="Make the account of the first administrator. There is no default password.">
      <Form
        submit="Make the account"
        isBusy={action.isPending}
        error={action.error}
        isReady={login !== '' && strength?.is_enough === true && password === repeated}
        onSubmit={() =>
          action.mutate(undefined, {
            onSuccess: () => {
              replace('/profile');
              void refresh();
            },
          })
        }
      >
        <Field
          label="Login"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
          value={login}
          onChange={(event) => setLogin(event.target.value)}
          hint="Letters, digits and - _ . @ +"
        />
        <Field
          label="Name"
          autoComplete="name"
          value={name}
          onChange={(event) => setName(event.target.value)}
          hint="As others are to see it; may be empty."
        />
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
