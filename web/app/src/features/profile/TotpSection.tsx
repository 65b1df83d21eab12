import { useState } from 'react';
import { useAction } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { Person } from '../../shared/api/types.ts';
import { useMe } from '../../shared/session.tsx';
import { Dialog } from '../../shared/ui/Dialog.tsx';
import { Field } from '../../shared/ui/Field.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { Failure } from '../../shared/ui/Notice.tsx';
import { Section } from '../../shared/ui/Page.tsx';
import { Qr } from '../../shared/ui/Qr.tsx';
import { Secret } from '../../shared/ui/Secret.tsx';

type Enrolment = { secret: string; uri: string };
type Codes = { recovery_codes: string[] };

/** The authenticator app: adding it, new recovery codes, removing it. */
export function TotpSection({ person }: { person: Person }) {
  const { recovery_codes_left: left = 0 } = useMe();
  const [codes, setCodes] = useState<string[]>();
  const begin = useAction<undefined, Enrolment>(() => send('POST', 'api/me/totp'));
  return (
    <Section title="Authenticator app">
      {codes !== undefined && <RecoveryCodes codes={codes} onClose={() => setCodes(undefined)} />}
      {person.has_totp ? (
        <Present left={left} onCodes={setCodes} />
      ) : begin.data === undefined ? (
        <>
          <p>With an app, whoever knows your password still cannot log in without your phone.</p>
          <Failure error={begin.error} />
          <p>
            <button
              type="button"
              className="quiet"
              disabled={begin.isPending}
              onClick={() => begin.mutate(undefined)}
            >
              Add an app
            </button>
          </p>
        </>
      ) : (
        <Enrol enrolment={begin.data} onCancel={() => begin.reset()} onCodes={setCodes} />
      )}
    </Section>
  );
}

function Enrol({
  enrolment,
  onCancel,
  onCodes,
}: {
  enrolment: Enrolment;
  onCancel: () => void;
  onCodes: (codes: string[]) => void;
}) {
  const [code, setCode] = useState('');
  const confirm = useAction<undefined, Codes>(
    () => send('POST', 'api/me/totp/confirm', { code: code.trim() }),
    ['api/me'],
  );
  return (
    <Form
      submit="Confirm"
      isBusy={confirm.isPending}
      error={confirm.error}
      isReady={/^\d{6}$/.test(code.trim())}
      onCancel={onCancel}
      onSubmit={() => confirm.mutate(undefined, { onSuccess: (answer) => onCodes(answer.recovery_codes) })}
    >
      <p>Photograph this with your app, or type the secret into it:</p>
      <Qr text={enrolment.uri} label="QR code of the secret that is written below" />
      <Secret label="Secret of the app" value={enrolment.secret} />
      <Field
        label="Code that the app shows now"
        inputMode="numeric"
        autoComplete="one-time-code"
        required
        value={code}
        onChange={(event) => setCode(event.target.value)}
      />
    </Form>
  );
}

function RecoveryCodes({ codes, onClose }: { codes: readonly string[]; onClose: () => void }) {
  return (
    <Dialog title="Your recovery codes" onClose={onClose}>
      <div className="stack">
        <p>
          Each of them gets you in once when your phone is lost. They are not shown again: print them, or keep them
          where you keep your passwords.
        </p>
        <Secret label="Recovery codes" value={codes.join('\n')} />
        <div className="buttons">
          <button type="button" onClick={onClose}>
            I have kept them
          </button>
        </div>
      </div>
    </Dialog>
  );
}

function Present({ left, onCodes }: { left: number; onCodes: (codes: string[]) => void }) {
  const [wanted, setWanted] = useState<'codes' | 'remove'>();
  const [password, setPassword] = useState('');
  const codes = useAction<undefined, Codes>(() => send('POST', 'api/me/recovery-codes', { password }), ['api/me']);
  const remove = useAction<undefined>(() => send('POST', 'api/me/totp/remove', { password }), ['api/me']);
  const close = () => {
    setWanted(undefined);
    setPassword('');
  };
  if (wanted === undefined) {
    return (
      <>
        <p>
          Your app is asked for when you log in. {left} of your recovery codes {left === 1 ? 'is' : 'are'} left.
        </p>
        <div className="buttons">
          <button type="button" className="quiet" onClick={() => setWanted('codes')}>
            New recovery codes
          </button>
          <button type="button" className="quiet" onClick={() => setWanted('remove')}>
            Remove the app
          </button>
        </div>
      </>
    );
  }
  const isRemoving = wanted === 'remove';
  const action = isRemoving ? remove : codes;
  return (
    <Form
      submit={isRemoving ? 'Remove the app' : 'Make new codes'}
      danger={isRemoving}
      isBusy={action.isPending}
      error={action.error}
      isReady={password !== ''}
      onCancel={close}
      onSubmit={() => {
        if (isRemoving) {
          remove.mutate(undefined, { onSuccess: close });
        } else {
          codes.mutate(undefined, {
            onSuccess: (answer) => {
              close();
              onCodes(answer.recovery_codes);
            },
          });
        }
      }}
    >
      <Field
        label="Your password, once more"
        type="password"
        autoComplete="current-password"
        required
        value={password}
        onChange={(event) => setPassword(event.target.value)}
      />
    </Form>
  );
}
