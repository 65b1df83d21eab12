import { useState } from 'react';
import type { UseMutationResult } from '@tanstack/react-query';
import type { ServerError } from '../api/request.ts';
import type { Right, Token } from '../api/types.ts';
import { Dialog } from './Dialog.tsx';
import { Field } from './Field.tsx';
import { Form } from './Form.tsx';
import { RightsFields } from './RightsFields.tsx';
import { Secret } from './Secret.tsx';

export type NewToken = { name: string; rights: Right[]; days: number };
export type MadeToken = { secret: string; token: Token };

/** Making an API token; it is shown once. */
export function TokenForm({
  offered,
  action,
  onClose,
}: {
  offered: readonly Right[];
  action: UseMutationResult<MadeToken, ServerError, NewToken>;
  onClose: () => void;
}) {
  const [name, setName] = useState('');
  const [days, setDays] = useState('90');
  const [rights, setRights] = useState<Right[]>(offered.includes('view') ? ['view'] : []);
  if (action.data !== undefined) {
    return (
      <Dialog title={`Token “${action.data.token.name}”`} onClose={onClose}>
        <div className="stack">
          <p>Copy it now: it cannot be shown again.</p>
          <Secret label="Token" value={action.data.secret} />
          <p className="hint">
            Programs send it as <code>Authorization: Bearer …</code>
          </p>
          <div className="buttons">
            <button type="button" onClick={onClose}>
              Done
            </button>
          </div>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title="New token" onClose={onClose}>
      <Form
        submit="Make the token"
        isBusy={action.isPending}
        error={action.error}
        isReady={name.trim() !== '' && rights.length > 0 && Number(days) > 0}
        onCancel={onClose}
        onSubmit={() => action.mutate({ name: name.trim(), rights, days: Number(days) })}
      >
        <Field
          label="What it is for"
          autoComplete="off"
          required
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <Field
          label="Days until it ends"
          type="number"
          min={1}
          required
          value={days}
          onChange={(event) => setDays(event.target.value)}
        />
        <RightsFields rights={rights} offered={offered} onChange={setRights} />
      </Form>
    </Dialog>
  );
}
