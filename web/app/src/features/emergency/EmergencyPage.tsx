import { useState } from 'react';
import { useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { BreakGlass } from '../../shared/api/types.ts';
import { time } from '../../shared/format.ts';
import { scopeInWords } from '../../shared/rights.ts';
import { Choice, Field, TextField } from '../../shared/ui/Field.tsx';
import { Dialog } from '../../shared/ui/Dialog.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Done, Empty } from '../../shared/ui/Notice.tsx';
import { Page, Section } from '../../shared/ui/Page.tsx';
import { Table } from '../../shared/ui/Table.tsx';

const CHANGED = ['api/break-glass', 'api/me', 'api/statistics'];

type Accesses = { accesses: BreakGlass[]; may_review: boolean };

/** Access in an emergency, and its review. */
export function EmergencyPage({ query }: { query: URLSearchParams }) {
  const accesses = useResource<Accesses>('api/break-glass');
  return (
    <Page
      title="Emergency access"
      lead="Opens studies that you may not see otherwise. You say why; it is recorded, and somebody reviews it."
    >
      <div className="cards">
        <OpenForm study={query.get('study') ?? ''} />
        <Loaded query={accesses}>
          {({ accesses: list, may_review: mayReview }) => (
            <Section title={mayReview ? 'Emergency access of everybody' : 'Your emergency access'}>
              {list.length === 0 ? (
                <Empty>There was none.</Empty>
              ) : (
                <Accesses list={list} mayReview={mayReview} />
              )}
            </Section>
          )}
        </Loaded>
      </div>
    </Page>
  );
}

function OpenForm({ study: asked }: { study: string }) {
  const [study, setStudy] = useState(asked);
  const [patient, setPatient] = useState('');
  const [reason, setReason] = useState('');
  const [minutes, setMinutes] = useState('60');
  const action = useAction<undefined, { access: BreakGlass }>(
    () =>
      send('POST', 'api/break-glass', {
        reason,
        minutes: Number(minutes),
        study: study.trim() === '' ? null : study.trim(),
        patient: patient.trim() === '' ? null : { patient_id: patient.trim() },
      }),
    CHANGED,
  );
  return (
    <Section title="Open access">
      <Form
        danger
        submit="Open access"
        isBusy={action.isPending}
        error={action.error}
        isReady={reason.trim() !== '' && (study.trim() !== '' || patient.trim() !== '')}
        onSubmit={() =>
          action.mutate(undefined, {
            onSuccess: () => {
              setReason('');
              setPatient('');
              setStudy('');
            },
          })
        }
      >
        <div className="columns">
          <Field
            label="Patient ID"
            autoComplete="off"
            spellCheck={false}
            value={patient}
            onChange={(event) => setPatient(event.target.value)}
          />
          <Field
            label="or Study Instance UID"
            autoComplete="off"
            spellCheck={false}
            value={study}
            onChange={(event) => setStudy(event.target.value)}
          />
        </div>
        <TextField
          label="Why you need it"
          rows={2}
          required
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
        <Choice label="For how long" value={minutes} onChange={(event) => setMinutes(event.target.value)}>
          <option value="15">15 minutes</option>
          <option value="60">1 hour</option>
          <option value="240">4 hours</option>
        </Choice>
        {action.isSuccess && (
          <Done>
            Open until {time(action.data.access.ends)}. <a href="#/">To the studies</a>
          </Done>
        )}
      </Form>
    </Section>
  );
}

function Accesses({ list, mayReview }: { list: readonly BreakGlass[]; mayReview: boolean }) {
  const [reviewed, setReviewed] = useState<BreakGlass>();
  return (
    <>
      {reviewed !== undefined && <Review access={reviewed} onClose={() => setReviewed(undefined)} />}
      <Table
        label="Emergency access"
        head={['Who', 'When', 'Why', 'What', 'Review']}
        rows={list.map((access) => ({
          key: String(access.id),
          cells: [
            access.name || access.login,
            `${time(access.opened)} to ${time(access.ends)}`,
            access.reason,
            scopeInWords(access.scope),
            access.reviewed !== null ? (
              `${access.reviewed_by ?? ''}, ${time(access.reviewed)}${access.review_note ? `: ${access.review_note}` : ''}`
            ) : mayReview ? (
              <button
                key="review"
                type="button"
                className="quiet small"
                aria-label={`Review: ${access.name || access.login}`}
                onClick={() => setReviewed(access)}
              >
                Review
              </button>
            ) : (
              'waiting'
            ),
          ],
        }))}
      />
    </>
  );
}

function Review({ access, onClose }: { access: BreakGlass; onClose: () => void }) {
  const [note, setNote] = useState('');
  const action = useAction<undefined>(
    () => send('POST', `api/break-glass/${access.id}/review`, { note }),
    CHANGED,
  );
  return (
    <Dialog title="Review emergency access" onClose={onClose}>
      <Form
        submit="Reviewed"
        isBusy={action.isPending}
        error={action.error}
        onCancel={onClose}
        onSubmit={() => action.mutate(undefined, { onSuccess: onClose })}
      >
        <p>
          {access.name || access.login}, {time(access.opened)}: “{access.reason}”
        </p>
        <p>
          <a href={`#/audit?person=${encodeURIComponent(access.login)}`}>What they did</a>
        </p>
        <TextField label="What you found" rows={3} value={note} onChange={(event) => setNote(event.target.value)} />
      </Form>
    </Dialog>
  );
}
