import { useState } from "react";
import type { VmPolicy } from "../../../../../src/contract/egress.ts";
import type { EgressRule } from "../../../../../src/contract/policy.ts";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { usePoll } from "../../../api/use-poll.ts";
import { Chip } from "../../../components/badge.tsx";
import { Button } from "../../../components/button.tsx";
import { Icon } from "../../../components/icon.tsx";
import { Card } from "../../../components/page.tsx";
import { vmPath } from "../api.ts";
import { PolicyDialog } from "./policy-dialog.tsx";
import { describeRule, MODES } from "./policy-text.ts";

/** What a VM may reach, and the secrets that it may use there. */
export function PolicyCard({ vm, onChange }: { vm: Vm; onChange: () => Promise<void> }) {
  const [isEditing, setEditing] = useState(false);
  // For its warnings; the policy itself comes with the VM.
  const { data, refresh } = usePoll<VmPolicy>(vmPath(vm.id, "/policy"), 10_000);
  const { network: policy, secrets } = vm;
  const hosts = Object.entries(policy.hosts ?? {});
  return (
    <Card
      title="Policy"
      actions={
        <Button aria-label="Edit the policy" onClick={() => setEditing(true)}>
          Edit
        </Button>
      }
    >
      <div className="stack-s">
        <p>
          <strong>{policy.mode}</strong>{" "}
          <span className="muted">{MODES.find(({ mode }) => mode === policy.mode)?.what}</span>
        </p>
        <Rules label="Allowed" rules={policy.allow} />
        <Rules label="Denied, before all that is allowed" rules={policy.deny} />
        {hosts.length > 0 && (
          <Rules label="Addresses" rules={hosts.map(([name, address]) => `${name} is at ${address}`)} />
        )}
        {secrets.length > 0 && (
          <Rules
            label="Secrets"
            rules={secrets.map(({ name, hosts: at }) => (at === undefined ? name : `${name} for ${at.join(", ")}`))}
          />
        )}
        {data?.warnings.map((warning) => (
          <p key={warning} className="warning-line">
            <Icon name="alert" /> {warning}
          </p>
        ))}
      </div>
      <PolicyDialog
        vm={vm}
        isOpen={isEditing}
        onClose={() => setEditing(false)}
        onChange={async () => {
          await Promise.all([onChange(), refresh()]);
        }}
      />
    </Card>
  );
}

function Rules({ label, rules = [] }: { label: string; rules?: readonly EgressRule[] | undefined }) {
  if (rules.length === 0) return null;
  return (
    <div>
      <h3>{label}</h3>
      <ul className="chips">
        {rules.map(describeRule).map((text) => (
          <li key={text}>
            <Chip title={text}>{text}</Chip>
          </li>
        ))}
      </ul>
    </div>
  );
}
