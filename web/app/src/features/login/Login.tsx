import { useState } from 'react';
import { useAction } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { LoginAnswer, LoginWays } from '../../shared/api/types.ts';
import { hasPasskeys, showPasskey } from '../../shared/passkey.ts';
import { useRefreshSession } from '../../shared/session.tsx';
import { Field } from '../../shared/ui/Field.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { Failure } from '../../shared/ui/Notice.tsx';
import { Page } from '../../shared/ui/Page.tsx';

/** Logging in: the password, then, where there is one, the second factor. */
export function Login({ ways }: { ways: LoginWays }) {
  const [ticket, setTicket] = useState<string>();
  if (ways.needs_set_up) {
    return (
      <Page title="Not set up yet">
        <p>
          Nobody administers this archive as yet. The server printed a one-time link when it started: open it
          to make the first account. Without the link at hand, run
        </p>
        <pre>
          <code>gantry user add LOGIN --role administrator</code>
        </pre>
        <p className="weak">on the server, in its data folder. Modalities that are configured may store already.</p>
      </Page>
    );
  }
  if (ticket !== undefined) {
    return <SecondFactor ticket={ticket} onBack={() => setTicket(undefined)} />;
  }
  return (
    <Page title="Log in">
      <Password onSecondFactor={setTicket} />
      <OtherWays ways={ways} />
      <p className="hint">Password forgotten? An administrator can give you a link that sets a new one.</p>
    </Page>
  );
}

function Password({ onSecondFactor }: { onSecondFactor: (ticket: string) => void }) {
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const refresh = useRefreshSession();
  const action = useAction<undefined, LoginAnswer>(() => send('POST', 'api/login', { login, password }));
  return (
    <Form
      submit="Log in"
      isBusy={action.isPending}
      error={action.error}
      onSubmit={() =>
        action.mutate(undefined, {
          onSuccess: (answer) => {
            if (answer.status === 'second-factor') {
              onSecondFactor(answer.ticket);
            } else {
              void refresh();
            }
          },
          onError: () => setPassword(''),
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
      />
      <Field
        label="Password"
        type="password"
        autoComplete="current-password"
        required
        value={password}
        onChange={(event) => setPassword(event.target.value)}
      />
    </Form>
  );
}

/** Passkeys and identity providers, where the server has them. */
function OtherWays({ ways }: { ways: LoginWays }) {
  const refresh = useRefreshSession();
  const action = useAction<undefined>(async () => {
    const credential = await showPasskey(await send('POST', 'api/login/passkey/options'));
    return send('POST', 'api/login/passkey', { credential });
  });
  const providers = ways.providers ?? [];
  const isPasskey = ways.passkey === true && hasPasskeys();
  if (!isPasskey && providers.length === 0) {
    return null;
  }
  return (
    <div className="other-ways">
      {isPasskey && (
        <button
          type="button"
          className="quiet"
          disabled={action.isPending}
          onClick={() => action.mutate(undefined, { onSuccess: () => void refresh() })}
        >
          Use a passkey
        </button>
      )}
      {providers.map((provider) => (
        <a key={provider.name} className="button" href={provider.url.replace(/^\//, '')}>
          Log in with {provider.title || provider.name}
        </a>
      ))}
      <Failure error={action.error} />
    </div>
  );
}

function SecondFactor({ ticket, onBack }: { ticket: string; onBack: () => void }) {
  const [code, setCode] = useState('');
  const refresh = useRefreshSession();
  const action = useAction<undefined>(() => send('POST', 'api/login/second-factor', { ticket, code: code.trim() }));
  return (
    <Page title="One more step">
      <Form
        submit="Go on"
        isBusy={action.isPending}
        error={action.error}
        isReady={code.trim() !== ''}
        onCancel={onBack}
        onSubmit={() =>
          action.mutate(undefined, { onSuccess: () => void refresh(), onError: () => setCode('') })
        }
      >
        <Field
          label="Code"
          inputMode="text"
          autoComplete="one-time-code"
          autoCapitalize="none"
          spellCheck={false}
          required
          value={code}
          onChange={(event) => setCode(event.target.value)}
          hint="The six digits that your authenticator app shows, or one of your recovery codes."
        />
      </Form>
    </Page>
  );
}
