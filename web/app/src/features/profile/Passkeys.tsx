import { useState } from 'react';
import { useAction, useHasRoute, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import { browser, time } from '../../shared/format.ts';
import { createPasskey, hasPasskeys } from '../../shared/passkey.ts';
import { Confirm } from '../../shared/ui/Confirm.tsx';
import { Dialog } from '../../shared/ui/Dialog.tsx';
import { Field } from '../../shared/ui/Field.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Empty } from '../../shared/ui/Notice.tsx';
import { Section } from '../../shared/ui/Page.tsx';
import { Table } from '../../shared/ui/Table.tsx';

type Passkey = { id: number; name: string; created: number; last_used: number | null };

const CHANGED = ['api/me/passkeys', 'api/me'];

/** One's passkeys: logging in with a finger, a face or a key instead of a password. */
export function Passkeys() {
  const hasRoute = useHasRoute();
  const isThere = hasRoute('GET', '/api/me/passkeys');
  const passkeys = useResource<{ passkeys: Passkey[] }>('api/me/passkeys', isThere);
  const remove = useAction<number>((id) => send('DELETE', `api/me/passkeys/${id}`), CHANGED);
  const [isAdding, setIsAdding] = useState(false);
  if (!isThere) {
    return null;
  }
  return (
    <Section
      title="Passkeys"
      actions={
        hasPasskeys() && (
          <button type="button" className="quiet" onClick={() => setIsAdding(true)}>
            Add a passkey
          </button>
        )
      }
    >
      <p className="weak">
        Log in with a fingerprint, a face or a security key: nothing to be typed, nothing to be stolen.
        {!hasPasskeys() && ' Browsers offer it only over HTTPS.'}
      </p>
      {isAdding && <AddPasskey onClose={() => setIsAdding(false)} />}
      <Loaded query={passkeys}>
        {({ passkeys: list }) =>
          list.length === 0 ? (
            <Empty>No passkey yet.</Empty>
          ) : (
            <Table
              label="Passkeys"
              head={['Name', 'Since', 'Last used', '']}
              rows={list.map((passkey) => ({
                key: String(passkey.id),
                cells: [
                  passkey.name,
                  time(passkey.created),
                  passkey.last_used === null ? 'never' : time(passkey.last_used),
                  <Confirm
                    key="remove"
                    label="Remove"
                    about={passkey.name}
                    title={`Remove “${passkey.name}”?`}
                    action={remove}
                    input={passkey.id}
                  >
                    It cannot be used to log in any more.
                  </Confirm>,
                ],
              }))}
            />
          )
        }
      </Loaded>
    </Section>
  );
}

function AddPasskey({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState(() => browser(navigator.userAgent));
  const action = useAction<undefined>(async () => {
    const credential = await createPasskey(await send('POST', 'api/me/passkeys/options'));
    return send('POST', 'api/me/passkeys', { name, credential });
  }, CHANGED);
  return (
    <Dialog title="Add a passkey" onClose={onClose}>
      <Form
        submit="Go on"
        isBusy={action.isPending}
        error={action.error}
        isReady={name.trim() !== ''}
        onCancel={onClose}
        onSubmit={() => action.mutate(undefined, { onSuccess: onClose })}
      >
        <Field
          label="Name of the passkey"
          autoComplete="off"
          required
          value={name}
          onChange={(event) => setName(event.target.value)}
          hint="So that you know it again: where it is kept."
        />
      </Form>
    </Dialog>
  );
}
