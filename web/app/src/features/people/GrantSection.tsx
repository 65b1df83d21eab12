import { useState } from 'react';
import { useAction } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import { NOT_RESTRICTED, type PersonalGrant, type Right, type Scope } from '../../shared/api/types.ts';
import { list, time } from '../../shared/format.ts';
import { scopeInWords } from '../../shared/rights.ts';
import { Confirm } from '../../shared/ui/Confirm.tsx';
import { Dialog } from '../../shared/ui/Dialog.tsx';
import { Field } from '../../shared/ui/Field.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { Empty } from '../../shared/ui/Notice.tsx';
import { Section } from '../../shared/ui/Page.tsx';
import { RightsFields } from '../../shared/ui/RightsFields.tsx';
import { ScopeFields } from '../../shared/ui/ScopeFields.tsx';
import { Table } from '../../shared/ui/Table.tsx';

/** What one person was granted beside the roles. */
export function GrantSection({ path, grants }: { path: string; grants: readonly PersonalGrant[] }) {
  const [isGranting, setIsGranting] = useState(false);
  const remove = useAction<number>((grant) => send('DELETE', `${path}/grants/${grant}`), [path]);
  return (
    <Section
      title="Grants beside the roles"
      actions={
        <button type="button" className="quiet" onClick={() => setIsGranting(true)}>
          Grant something
        </button>
      }
    >
      {isGranting && <GrantForm path={path} onClose={() => setIsGranting(false)} />}
      {grants.length === 0 ? (
        <Empty>None. A grant gives one person rights over some studies, for a while or for good.</Empty>
      ) : (
        <Table
          label="Grants"
          head={['Rights', 'Studies', 'Until', 'Why', '']}
          rows={grants.map((grant) => ({
            key: String(grant.id),
            cells: [
              list(grant.rights),
              scopeInWords(grant.scope),
              grant.ends === null ? 'it is taken back' : time(grant.ends),
              [grant.reason, grant.granted_by === null ? '' : `(${grant.granted_by})`].join(' '),
              <Confirm
                key="remove"
                label="Take back"
                about={list(grant.rights)}
                title="Take the grant back?"
                action={remove}
                input={grant.id}
              >
                The person may no longer {list(grant.rights)} {scopeInWords(grant.scope)}.
              </Confirm>,
            ],
          }))}
        />
      )}
    </Section>
  );
}

function GrantForm({ path, onClose }: { path: string; onClose: () => void }) {
  const [rights, setRights] = useState<Right[]>(['view']);
  const [scope, setScope] = useState<Scope>(NOT_RESTRICTED);
  const [ends, setEnds] = useState('');
  const [reason, setReason] = useState('');
  const action = useAction<undefined>(
    () =>
      send('POST', `${path}/grants`, {
        rights,
        scope,
        ends: ends === '' ? null : new Date(ends).getTime() * 1000,
        reason,
      }),
    [path],
  );
  return (
    <Dialog title="Grant something" onClose={onClose}>
      <Form
        submit="Grant"
        isBusy={action.isPending}
        error={action.error}
        isReady={rights.length > 0}
        onCancel={onClose}
        onSubmit={() => action.mutate(undefined, { onSuccess: onClose })}
      >
        <RightsFields rights={rights} onChange={setRights} />
        <ScopeFields scope={scope} onChange={setScope} />
        <Field
          label="Until"
          type="datetime-local"
          value={ends}
          onChange={(event) => setEnds(event.target.value)}
          hint="Empty: until it is taken back."
        />
        <Field
          label="Why"
          autoComplete="off"
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
      </Form>
    </Dialog>
  );
}
