$trigger = New-ScheduledTaskTrigger -Daily -At 8:00AM
$action = New-ScheduledTaskAction -Execute "wscript.exe" -Argument "run_automated_trading_silent.vbs"
Register-ScheduledTask -TaskName "Sentinel Automated Trading" -Action $action -Trigger $trigger
