import { useState } from 'react';
import { useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { Share } from '../../shared/api/types.ts';
import { counted, time } from '../../shared/format.ts';
import { useHolds } from '../../shared/session.tsx';
import { Confirm } from '../../shared/ui/Confirm.tsx';
import { Dialog } from '../../shared/ui/Dialog.tsx';
import { Check, Field } from '../../shared/ui/Field.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Empty } from '../../shared/ui/Notice.tsx';
import { Section } from '../../shared/ui/Page.tsx';
import { Secret } from '../../shared/ui/Secret.tsx';
import { Table } from '../../shared/ui/Table.tsx';

/** Links to studies: one's own, everybody's for administrators. */
export function Shares() {
  const holds = useHolds();
  const [isSharing, setIsSharing] = useState(false);
  const shares = useResource<{ shares: Share[] }>('api/shares');
  const revoke = useAction<number>((id) => send('DELETE', `api/shares/${id}`), ['api/shares']);
  return (
    <Section
      title="Shares"
      actions={
        holds('share') && (
          <button type="button" className="quiet" onClick={() => setIsSharing(true)}>
            Share a study
          </button>
        )
      }
    >
      {isSharing && <ShareForm onClose={() => setIsSharing(false)} />}
      <Loaded query={shares}>
        {({ shares: all }) =>
          all.length === 0 ? (
            <Empty>Nothing is shared. A share shows one study to whoever has its link.</Empty>
          ) : (
            <Table
              label="Shares"
              head={['For', 'Study', 'Whose', 'Until', 'Opened', '']}
              rows={all.map((share) => ({
                key: String(share.id),
                isWeak: share.revoked !== null,
                cells: [
                  share.note || '–',
                  <a key="study" href={`#/study/${share.study}`}>
                    <code>{share.study}</code>
                  </a>,
                  share.login,
                  time(share.ends),
                  `${counted(share.uses, 'time')}${share.has_pin ? ', with a PIN' : ''}${share.may_download ? ', may download' : ''}`,
                  share.revoked === null ? (
                    <Confirm
                      key="revoke"
                      label="Revoke"
                      about={share.note || share.study}
                      title="Revoke the share?"
                      action={revoke}
                      input={share.id}
                    >
                      The link shows nothing from now on.
                    </Confirm>
                  ) : (
                    `revoked ${time(share.revoked)}`
                  ),
                ],
              }))}
            />
          )
        }
      </Loaded>
    </Section>
  );
}

function ShareForm({ onClose }: { onClose: () => void }) {
  const holds = useHolds();
  const [study, setStudy] = useState('');
  const [note, setNote] = useState('');
  const [pin, setPin] = useState('');
  const [days, setDays] = useState('7');
  const [mayDownload, setMayDownload] = useState(false);
  const action = useAction<undefined, { link: string }>(
    () =>
      send('POST', 'api/shares', {
        study: study.trim(),
        note,
        pin: pin === '' ? null : pin,
        days: Number(days),
        may_download: mayDownload,
      }),
    ['api/shares'],
  );
  if (action.data !== undefined) {
    return (
      <Dialog title="Shared" onClose={onClose}>
        <div className="stack">
          <p>Whoever has this link sees the study. It is not shown again.</p>
          <Secret label="Link of the share" value={action.data.link} />
          {pin !== '' && <p>Tell the PIN on another way than the link.</p>}
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
    <Dialog title="Share a study" onClose={onClose}>
      <Form
        submit="Share"
        isBusy={action.isPending}
        error={action.error}
        isReady={study.trim() !== '' && Number(days) > 0}
        onCancel={onClose}
        onSubmit={() => action.mutate(undefined)}
      >
        <Field
          label="Study Instance UID"
          autoComplete="off"
          spellCheck={false}
          required
          value={study}
          onChange={(event) => setStudy(event.target.value)}
        />
        <Field
          label="For whom"
          autoComplete="off"
          value={note}
          onChange={(event) => setNote(event.target.value)}
        />
        <div className="columns">
          <Field
            label="PIN"
            autoComplete="off"
            value={pin}
            onChange={(event) => setPin(event.target.value)}
            hint="At least 4 characters; may be empty."
          />
          <Field
            label="Days"
            type="number"
            min={1}
            required
            value={days}
            onChange={(event) => setDays(event.target.value)}
          />
        </div>
        {holds('download') && (
          <Check
            label="May download"
            hint="the stored objects themselves"
            checked={mayDownload}
            onChange={(event) => setMayDownload(event.target.checked)}
          />
        )}
      </Form>
    </Dialog>
  );
}
